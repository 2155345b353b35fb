import numpy as np
import pytest

from sweeper.figures.confusion import confusion_matrix


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_a_confusion_matrix_of_few_classes_shows_each_count(classes: int) -> None:
    counts = np.arange(classes * classes).reshape(classes, classes)
    axes = confusion_matrix(counts, [f"class {i}" for i in range(classes)]).axes[0]
    assert [text.get_text() for text in axes.texts] == [str(n) for n in counts.flat if n]


@pytest.mark.parametrize("classes", [1, 2, 10, 20, 47, 100, 1000])
@pytest.mark.parametrize("name", ["{}", "aquarium_fish_{}", "a_$x${}", "日本語{}"])
def test_no_class_name_is_cut_or_overlaps(classes: int, name: str, check_legible) -> None:
    counts = np.full((classes, classes), 1234)
    names = [name.format(i) for i in range(classes)]
    check_legible(confusion_matrix(counts, names, "Confusion matrix: test split", "cnn on x"))


def test_the_most_frequent_mistakes_are_listed() -> None:
    figure = confusion_matrix([[8, 2, 0], [0, 5, 5], [0, 0, 0]], ["a", "b", "c"], "Title", "cnn")
    texts = [text.get_text() for text in figure.texts]
    assert texts[:2] == ["Title", "cnn · 20 images, 65.00% correct"]
    assert texts[-4:] == ["b → c", "5 (50%)", "a → b", "2 (20%)"]


def test_a_class_without_images_is_drawn_as_zero() -> None:
    figure = confusion_matrix([[3, 0], [0, 0]], ["a", "b"])
    assert figure.axes[0].images[0].get_array().tolist() == [[1, 0], [0, 0]]
    assert figure.texts[0].get_text() == "Confusion matrix"
    assert "3 images, 100.00% correct" in figure.texts[1].get_text()
    assert figure.texts[-1].get_text() == "No mistake"


def test_a_dollar_in_a_name_is_no_math_text() -> None:
    confusion_matrix([[1, 0], [0, 1]], ["cost$^$", "a$_b$x_"]).draw_without_rendering()
