"""A network as a graph: a box for each layer, from the image at the top to the outputs below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import FancyBboxPatch

from sweeper.figures.style import StyledFigure, new_figure, short, styled

# In inches.
_ROW, _HEIGHT, _GAP, _TRACK, _MARGIN, _CHARACTER, _HEAD = 0.56, 0.4, 0.45, 0.14, 0.25, 0.068, 0.09
_MAX_SIDE, _MAX_PIXELS = 30_000, 2e7  # matplotlib draws sides of 2**16 pixels at most
_LONGEST = 80  # characters of a title
_COLOURS = {
    "image": "#ffffff",
    "conv": "#cfe2f3",
    "pool": "#d9ead3",
    "linear": "#fce5cd",
    "join": "#e0e0e0",
    "other": "#f4f4f4",
}
_LINE = "#555555"
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box of the figure: two lines of text, and the positions of the boxes that lead to it.

    `kind` decides on the colour: image, conv, pool, linear, join or other.
    """

    title: str
    detail: str
    kind: str
    inputs: Sequence[int]


@styled()
def network_graph(boxes: Sequence[Box], title: str, about: str) -> StyledFigure:
    """Draw the boxes from top to bottom, those of the longest way in the first column.

    Ways around boxes, such as the shortcuts of a residual network, run beside the first column.

    boxes: each comes after those that lead to it.
    """
    cells = _cells(boxes)
    longest = (max(len(box.title), 0.8 * len(box.detail)) for box in boxes)
    width = 0.3 + _CHARACTER * min(max(longest), _LONGEST)
    tracks = _tracks(boxes, cells)
    left = _MARGIN + _TRACK * (max(tracks.values(), default=-1) + 2)
    n_columns = max(column for column, _ in cells) + 1
    n_rows = max(row for _, row in cells) + 1
    room = left + n_columns * (width + _GAP) - _GAP + _MARGIN, n_rows * _ROW + _MARGIN
    figure = new_figure(*room, title, about, layout=None)
    size = figure.get_size_inches()
    figure.set_dpi(min(figure.dpi, _MAX_SIDE / max(size), sqrt(_MAX_PIXELS / (size[0] * size[1]))))
    axes = figure.add_axes((0.0, 0.0, 1.0, room[1] / size[1]))
    spare = (size[0] - room[0]) / 2
    axes.set(xlim=(-spare, room[0] + spare), ylim=(room[1], 0))
    axes.set_axis_off()
    middles = [
        (left + width / 2 + column * (width + _GAP), (row + 0.5) * _ROW) for column, row in cells
    ]
    ways = []
    for position, box in enumerate(boxes):
        for source in box.inputs:
            ends = middles[source], middles[position]
            if _passes(cells[source], cells[position]):
                ways.append(_around(*ends, width, left - _TRACK * (tracks[source] + 1)))
            else:
                ways.append(_elbow(*ends, cells[source][0] > cells[position][0]))
    _draw_ways(axes, ways)
    for box, middle in zip(boxes, middles, strict=True):
        _draw_box(axes, box, middle, width)
    return figure


def _cells(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Return the column and the row of each box.

    The row is the length of the longest way to the box. The longest way to the last box is the
    first column. Any other box stays in the column of the box that leads to it, if it can.
    """
    rows: list[int] = []
    for box in boxes:
        rows.append(1 + max((rows[source] for source in box.inputs), default=-1))
    main, position = set(), max(range(len(boxes)), key=lambda i: (rows[i], i))
    while True:
        main.add(position)
        if not boxes[position].inputs:
            break
        position = max(boxes[position].inputs, key=lambda source: rows[source])
    cells: list[tuple[int, int]] = []
    taken = {(0, rows[position]) for position in main}
    for position, (box, row) in enumerate(zip(boxes, rows, strict=True)):
        beside = [cells[source][0] for source in box.inputs if cells[source][0] > 0]
        column = 0 if position in main else next(iter(beside), 1)
        while position not in main and (column, row) in taken:
            column += 1
        taken.add((column, row))
        cells.append((column, row))
    return cells


def _tracks(boxes: Sequence[Box], cells: Sequence[tuple[int, int]]) -> Mapping[int, int]:
    """Return the track, from 0, of each box whose output passes other boxes of its column.

    All ways from one box share its track. Tracks of boxes whose ways overlap differ; that of a
    shorter way is nearer to the column.
    """
    last: dict[int, int] = {}
    for target, box in enumerate(boxes):
        for source in box.inputs:
            if _passes(cells[source], cells[target]):
                last[source] = max(last.get(source, 0), cells[target][1])
    spans: list[list[tuple[int, int]]] = []
    tracks = {}
    for source in sorted(last, key=lambda source: last[source] - cells[source][1]):
        first, end = cells[source][1], last[source]
        free = (
            number
            for number, others in enumerate(spans)
            if all(end <= start or first >= stop for start, stop in others)
        )
        tracks[source] = next(free, len(spans))
        spans += [[]] if tracks[source] == len(spans) else []
        spans[tracks[source]].append((first, end))
    return tracks


def _passes(source: tuple[int, int], target: tuple[int, int]) -> bool:
    """Return whether a way between two cells, (column, row), passes others of the same column."""
    return source[0] == target[0] and target[1] > source[1] + 1


def _elbow(start: Point, end: Point, leaves_side: bool) -> list[Point]:
    """Return the way from the bottom of a box to the top of another one.

    A way from a side column stays in it as long as it can, and a way into one enters it at once.
    """
    top, bottom = start[1] + _HEIGHT / 2, end[1] - _HEIGHT / 2
    spare = (_ROW - _HEIGHT) / 2
    turn = bottom - spare if leaves_side else top + spare
    return [(start[0], top), (start[0], turn), (end[0], turn), (end[0], bottom)]


def _around(start: Point, end: Point, width: float, x: float) -> list[Point]:
    """Return the way from the left side of a box to that of another one in its column."""
    side = start[0] - width / 2
    return [
        (side, start[1] + 0.08),
        (x, start[1] + 0.08),
        (x, end[1] - 0.08),
        (side, end[1] - 0.08),
    ]


def _draw_ways(axes: Axes, ways: Sequence[Sequence[Point]]) -> None:
    """Draw lines that end in arrowheads; collections are drawn faster than single arrows."""
    axes.add_collection(LineCollection([list(way) for way in ways], colors=_LINE, linewidths=0.9))
    heads = []
    for way in ways:
        (x0, y0), (x, y) = way[-2:]
        length = abs(x - x0) + abs(y - y0)  # the ways have no slopes
        dx, dy = _HEAD * (x - x0) / length, _HEAD * (y - y0) / length
        back = x - dx, y - dy
        heads.append(
            [(x, y), (back[0] - dy / 2, back[1] + dx / 2), (back[0] + dy / 2, back[1] - dx / 2)]
        )
    axes.add_collection(PolyCollection(heads, facecolors=_LINE, edgecolors="none"))


def _draw_box(axes: Axes, box: Box, middle: Point, width: float) -> None:
    x, y = middle
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - _HEIGHT / 2),
            width,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_COLOURS[box.kind],
            edgecolor=_LINE,
            linewidth=0.8,
        )
    )
    axes.text(x, y - 0.085, short(box.title, _LONGEST), ha="center", va="center", fontsize=8)
    axes.text(
        x,
        y + 0.09,
        short(box.detail, round(_LONGEST / 0.8)),
        ha="center",
        va="center",
        fontsize=6.5,
        color=_LINE,
    )
