import numpy as np
import pytest

from sweeper.figures.confusion import confusion_matrix


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_a_confusion_matrix_of_few_classes_shows_each_count(classes: int) -> None:
    counts = np.arange(classes * classes).reshape(classes, classes)
    axes = confusion_matrix(counts, [f"class {i}" for i in range(classes)]).axes[0]
    assert [text.get_text() for text in axes.texts] == [str(count) for count in counts.flat]


@pytest.mark.parametrize("classes", [2, 10, 47, 100])
def test_no_two_class_names_overlap(classes: int) -> None:
    counts = np.full((classes, classes), 1234)
    figure = confusion_matrix(counts, [f"aquarium_fish_{i}" for i in range(classes)])
    figure.draw_without_rendering()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_a_class_without_images_is_drawn_as_zero() -> None:
    figure = confusion_matrix([[3, 0], [0, 0]], ["a", "b"])
    assert figure.axes[0].images[0].get_array().tolist() == [[1, 0], [0, 0]]
    assert figure.axes[0].get_title() == "3 images, 100.00% correct"


def test_a_dollar_in_a_name_is_no_math_text() -> None:
    confusion_matrix([[1, 0], [0, 1]], ["cost$^$", "a$_b$x_"]).draw_without_rendering()
