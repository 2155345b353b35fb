"""Drawing the figures of a study and writing them as files."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sweeper.figures.drawing import drawn, write_png
from sweeper.figures.study.drawn import study_figures
from sweeper.figures.study.timeline import Bar
from sweeper.figures.study.view import StudyView

SMALL, SMALL_WIDTH = "study_small", 720
"""The name of the copy of the study's picture that fits into a page, and its width in pixels."""


def save_figures(view: StudyView, bars: Sequence[Bar], folder: Path) -> Iterator[Path]:
    """Draw each figure of a study into the folder, and yield the path of its file.

    A user waits for the last one. So a thread writes a figure while the next one is drawn: writing
    takes as long as drawing, and does not hold the interpreter.
    """
    with ThreadPoolExecutor(1) as writer:
        written: list[tuple[Path, Future[None]]] = []
        for name, figure in study_figures(view, bars):
            path = folder / f"{name}.png"
            image = drawn(figure)
            written.append((path, writer.submit(write_png, image, path)))
            if name == "study":
                path = folder / f"{SMALL}.png"
                small = image.resize((SMALL_WIDTH, SMALL_WIDTH * image.height // image.width))
                written.append((path, writer.submit(write_png, small, path)))
        for path, future in written:
            future.result()
            yield path
