import math

import pytest

from sweeper.figures.rankings import average_precisions


def test_bars_are_sorted_by_precision_and_show_mean_and_chance() -> None:
    values, counts = [0.25, math.nan, 0.75], [10, 0, 40]
    axes = average_precisions(values, counts, 100, ["cat", "cow", "dog"]).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25, 0.0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["dog (40)", "cat (10)", "cow (0)"]
    assert [text.get_text() for text in axes.texts] == ["0.75", "0.25", "–"]
    assert [point[0] for point in axes.collections[0].get_offsets()] == [0.4, 0.1, 0.0]
    assert list(axes.lines[0].get_xdata()) == [0.5, 0.5]


def test_a_split_without_any_class_has_no_mean() -> None:
    figure = average_precisions([math.nan, math.nan], [0, 0], 9, ["a", "b"])
    figure.draw_without_rendering()
    assert not figure.axes[0].lines


@pytest.mark.parametrize("classes", [1, 20, 50, 120])
def test_no_two_class_names_overlap(classes: int) -> None:
    names = [f"aquarium_fish_of_the_{i}th_kind" for i in range(classes)]
    figure = average_precisions([0.5] * classes, [3] * classes, 9, names)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].yaxis.get_ticklabels()]
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))
