import numpy as np
import pytest

from sweeper.figures.strings import accuracy_by_length


def test_a_bar_for_each_length_is_the_share_of_correct_strings() -> None:
    correct = [True, False, True, True, False]
    figure = accuracy_by_length([3, 3, 3, 5, 6], correct)
    [axes] = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([2 / 3, 1.0, 0.0])
    assert [bar.get_center()[0] for bar in axes.patches] == [3, 5, 6]
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["66.7%\nof 3", "100.0%\nof 1", "0.0%\nof 1"]
    assert figure.texts[1].get_text() == "5 strings, 60.00% correct"


@pytest.mark.parametrize("lengths", [[2], list(range(20))])
def test_no_two_labels_overlap(lengths: list[int]) -> None:
    figure = accuracy_by_length(np.repeat(lengths, 1234), np.ones(1234 * len(lengths), dtype=bool))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))
