import pytest
from PIL import Image

from sweeper.figures.grid_of_images import image_grid


@pytest.mark.parametrize(("number", "rows"), [(1, 1), (8, 1), (9, 2)])
def test_an_image_grid_has_a_cell_for_each_image(number: int, rows: int) -> None:
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
