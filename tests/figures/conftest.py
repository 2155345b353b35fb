"""Fixtures: a check that a figure can be read."""

from collections.abc import Callable, Iterable
from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sweeper.figures.style import WIDTH, styled


def shown_texts(figure: Figure) -> list[Text]:
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    unseen = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not axes.axison or not _is_within(tick.get_loc(), axis.get_view_interval())
    }
    return [text for text in texts if text not in unseen]


def _is_within(place: float, limits: Iterable[float]) -> bool:
    low, high = sorted(limits)
    return low <= place <= high


@pytest.fixture
def check_legible() -> Callable[[Figure], None]:
    """Return a function that draws a figure, and finds texts that are cut or overlap."""

    def check(figure: Figure) -> None:
        figure.draw_without_rendering()
        assert figure.get_size_inches()[0] >= WIDTH
        with styled():
            boxes = {text: text.get_window_extent() for text in shown_texts(figure)}
            ticks = [
                [label for label in axis.get_ticklabels() if label in boxes]
                for axes in figure.axes
                for axis in (axes.xaxis, axes.yaxis)
            ]
        whole = figure.bbox.padded(2)
        for text, box in boxes.items():
            assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, f"cut: {text.get_text()}"
            assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, f"cut: {text.get_text()}"
        for group in (*ticks, figure.texts):
            for one, other in combinations([text for text in group if text in boxes], 2):
                overlap = boxes[one].padded(-1).overlaps(boxes[other].padded(-1))
                assert not overlap, f"{one.get_text()} overlaps {other.get_text()}"

    return check
