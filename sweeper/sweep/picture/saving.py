"""The figures of a study as files."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from PIL import Image

from sweeper.figures.drawing import drawn, png
from sweeper.figures.study.drawn import SUMMARY, study_figures
from sweeper.figures.study.timeline import Bar
from sweeper.figures.study.view import StudyView
from sweeper.figures.style import StyledFigure

SMALL, SMALL_WIDTH = f"{SUMMARY}_small", 720
"""The name of the copy of the study's picture that fits into a page, and its width in pixels."""


@dataclass(frozen=True)
class EarlyFigures:
    """The figures of a study whose best trial is still to be scored: all but the summary.

    Args:
        view: What they show.
        bars: What the timeline shows.
        files: The content of a PNG file for each figure, by its name.
    """

    view: StudyView
    bars: Sequence[Bar]
    files: Mapping[str, bytes]

    @staticmethod
    def of(view: StudyView, bars: Sequence[Bar]) -> "EarlyFigures":
        """Draw them."""
        figures = study_figures(view, bars)
        others = {name: make for name, make in figures.items() if name != SUMMARY}
        return EarlyFigures(view, bars, _files(others))

    def show(self, view: StudyView, bars: Sequence[Bar]) -> bool:
        """Return whether they show this study; what is known of its best trial may be new."""
        same = replace(self.view, remarks=view.remarks) == view
        return same and list(self.bars) == list(bars)


def draw(
    view: StudyView, bars: Sequence[Bar], early: EarlyFigures | None = None
) -> dict[str, bytes]:
    """Return the content of a PNG file for each figure of a study, by its name.

    Those that were drawn early are not drawn again, if they show the same.
    """
    known = early.files if early is not None and early.show(view, bars) else {}
    figures = study_figures(view, bars)
    missing = {name: make for name, make in figures.items() if name not in known}
    return {**known, **_files(missing)}


def _files(figures: Mapping[str, Callable[[], StyledFigure]]) -> dict[str, bytes]:
    """Draw figures, and return their files.

    A user waits for the last one. So a thread compresses a figure while the next one is drawn:
    the one takes as long as the other, and does not hold the interpreter.
    """
    with ThreadPoolExecutor(1) as compressor:
        files: dict[str, Future[bytes]] = {}
        for name, make in figures.items():
            image = drawn(make())
            files[name] = compressor.submit(png, image)
            if name == SUMMARY:
                files[SMALL] = compressor.submit(png, _small(image))
        return {name: file.result() for name, file in files.items()}


def _small(image: Image.Image) -> Image.Image:
    return image.resize((SMALL_WIDTH, SMALL_WIDTH * image.height // image.width))
