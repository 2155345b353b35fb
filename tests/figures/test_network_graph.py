"""The picture of a network."""

from itertools import combinations

from matplotlib.patches import FancyBboxPatch

from sweeper.figures.network_graph import Box, network_graph


def drawn(*inputs: tuple[int, ...]):
    boxes = [Box(f"layer {i}", "1x8x8", "conv", each) for i, each in enumerate(inputs)]
    return network_graph(boxes, "ConvNet", "100 parameters").axes[0]


def corners(axes) -> list[tuple[float, float, float, float]]:
    patches = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    return [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in patches]


def test_each_box_has_its_texts_and_lies_below_its_inputs() -> None:
    axes = drawn((), (0,), (1,), (1,), (2, 3), (4, 1))
    texts = [text.get_text() for text in axes.texts]
    assert texts[::2] == [f"layer {i}" for i in range(6)]
    tops = [y for _, y, _, _ in corners(axes)]
    assert tops == sorted(tops)
    assert tops[2] == tops[3] < tops[4]


def test_no_two_boxes_overlap_and_all_lie_within_the_figure() -> None:
    axes = drawn((), (0,), (0,), (0,), (1,), (2,), (4, 5, 3), (6, 0), (7,), (7, 6), (8, 9))
    boxes = corners(axes)
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert all(low < x and x + w < high and top < y and y + h < bottom for x, y, w, h in boxes)


def test_ways_around_boxes_that_overlap_have_different_tracks() -> None:
    axes = drawn((), (0,), (1,), (2, 0), (3, 1), (4,), (5, 4))
    ways = [way for way in axes.collections[0].get_segments() if way[0][0] == way[-1][0]]
    left = min(x for x, _, _, _ in corners(axes))
    around = [way[1][0] for way in ways if way[1][0] < left]
    assert len(around) == 3
    assert len(set(around)) == 2


def test_a_long_network_is_drawn_within_the_limits_of_a_picture() -> None:
    figure = network_graph(
        [Box("layer", "", "other", (i - 1,) if i else ()) for i in range(1500)], "", ""
    )
    assert max(figure.get_size_inches()) * figure.dpi < 2**16
