import numpy as np
import pytest
from PIL import Image

from sweeper.tracking.figures import confusion_matrix, image_grid, learning_curves

HISTORY = [
    {"train/loss": 2.0, "val/loss": 2.1, "train/accuracy": 0.2, "val/accuracy": 0.1},
    {"train/loss": 1.0, "val/loss": 1.2, "train/accuracy": 0.7, "val/accuracy": 0.6},
]


def test_learning_curves_draw_each_split_over_epochs_from_one() -> None:
    loss, accuracy = learning_curves(HISTORY, best_epoch=2).axes
    assert np.array_equal(loss.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    assert np.array_equal(accuracy.lines[1].get_xydata(), [[1, 0.1], [2, 0.6]])
    assert list(loss.lines[2].get_xdata()) == [2, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_learning_curves_of_a_diverged_run_can_be_drawn(value: float | None) -> None:
    row = {} if value is None else {"train/loss": value, "val/loss": value}
    learning_curves([HISTORY[0], row], best_epoch=1).draw_without_rendering()


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
    assert figure.axes[0].get_title() == "3 images, 100.00% right"


@pytest.mark.parametrize(("number", "rows"), [(1, 1), (8, 1), (9, 2)])
def test_an_image_grid_has_a_cell_an_image(number: int, rows: int) -> None:
    images = [Image.new("RGB", (4, 4), (255, 0, 0))] * number
    figure = image_grid(images, [f"title {i}" for i in range(number)], columns=8)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == [f"title {i}" for i in range(number)]
    assert figure.axes[0].get_gridspec().nrows == rows


@pytest.mark.parametrize(
    ("size", "columns"), [((8, 8), 8), ((16, 8), 8), ((48, 8), 3), ((99, 2), 1)]
)
def test_wide_images_take_fewer_columns_and_longer_titles(
    size: tuple[int, int], columns: int
) -> None:
    title = "123456, read as 1234567890"
    figure = image_grid([Image.new("L", size)] * 9, [title] * 9)
    assert figure.axes[0].get_gridspec().ncols == columns
    assert (figure.axes[0].get_title() == title) is (columns < 8)


def test_a_gray_image_keeps_its_brightness() -> None:
    axes = image_grid([Image.new("L", (4, 4), 100)], ["gray"]).axes[0]
    assert axes.images[0].get_clim() == (0, 255)


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    confusion_matrix([[1, 0], [0, 1]], ["cost$^$", "a$_b$x_"]).draw_without_rendering()
