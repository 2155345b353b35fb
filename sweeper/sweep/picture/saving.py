"""The figures of a study as files."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from PIL import Image

from sweeper.figures.drawing import drawn, png
from sweeper.figures.study.drawn import SUMMARY, study_figures
from sweeper.figures.study.timeline import Bar
from sweeper.figures.study.view import StudyView

SMALL, SMALL_WIDTH = f"{SUMMARY}_small", 720
"""The name of the copy of the study's picture that fits into a page, and its width in pixels."""


@dataclass(frozen=True)
class Pictures:
    """The figures of a study.

    Args:
        view: What they show.
        bars: What the timeline shows.
        files: The content of a PNG file for each figure, by its name.
    """

    view: StudyView
    bars: Sequence[Bar]
    files: Mapping[str, bytes]

    def shows(self, view: StudyView, bars: Sequence[Bar]) -> bool:
        """Return whether these are the figures of this study, but for its summary."""
        same = replace(self.view, remarks=view.remarks) == view
        return same and list(self.bars) == list(bars)


def draw(view: StudyView, bars: Sequence[Bar], early: Pictures | None = None) -> Pictures:
    """Draw the figures of a study, but for those that were drawn early."""
    known = early.files if early is not None and early.shows(view, bars) else {}
    figures = study_figures(view, bars)
    return _drawn(view, bars, [name for name in figures if name not in known], known)


def draw_early(view: StudyView, bars: Sequence[Bar]) -> Pictures:
    """Draw the figures of a study whose best trial is still to be scored: all but the summary."""
    names = [name for name in study_figures(view, bars) if name != SUMMARY]
    return _drawn(view, bars, names, {})


def _drawn(
    view: StudyView, bars: Sequence[Bar], names: Sequence[str], known: Mapping[str, bytes]
) -> Pictures:
    """Draw the named figures.

    A user waits for the last one. So a thread compresses a figure while the next one is drawn:
    the one takes as long as the other, and does not hold the interpreter.
    """
    figures = study_figures(view, bars)
    with ThreadPoolExecutor(1) as compressor:
        files: dict[str, Future[bytes]] = {}
        for name in names:
            image = drawn(figures[name]())
            files[name] = compressor.submit(png, image)
            if name == SUMMARY:
                files[SMALL] = compressor.submit(png, _small(image))
        return Pictures(view, bars, {**known, **{n: file.result() for n, file in files.items()}})


def _small(image: Image.Image) -> Image.Image:
    return image.resize((SMALL_WIDTH, SMALL_WIDTH * image.height // image.width))
