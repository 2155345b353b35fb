import pytest
from PIL import Image

from sweeper.figures.grid_of_images import image_grid


@pytest.mark.parametrize(("number", "rows"), [(1, 1), (8, 1), (9, 2)])
def test_an_image_grid_has_a_cell_for_each_image(number: int, rows: int) -> None:
    images = [Image.new("RGB", (4, 4), (255, 0, 0))] * number
    figure = image_grid(images, [f"title {i}" for i in range(number)])
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == [f"title {i}" for i in range(number)]
    assert len({image.get_extent()[3] for image in axes.images}) == rows
    assert len({tuple(image.get_extent()) for image in axes.images}) == number


@pytest.mark.parametrize(
    ("size", "columns"), [((8, 8), 8), ((16, 8), 8), ((48, 8), 3), ((99, 2), 1)]
)
def test_wide_images_take_fewer_columns_and_longer_titles(
    size: tuple[int, int], columns: int
) -> None:
    title = "123456, read as 1234567890"
    figure = image_grid([Image.new("L", size)] * 9, [title] * 9)
    [axes] = figure.axes
    assert len({image.get_extent()[0] for image in axes.images}) == columns
    assert (axes.texts[0].get_text() == title) is (columns < 8)


def test_a_gray_image_keeps_its_brightness() -> None:
    axes = image_grid([Image.new("L", (4, 4), 100)], ["gray"]).axes[0]
    assert axes.images[0].get_clim() == (0, 255)


@pytest.mark.parametrize("number", [0, 1, 3, 24, 64])
@pytest.mark.parametrize("size", [(1, 1), (28, 28), (640, 480), (300, 20), (20, 300)])
def test_no_title_is_cut_or_overlaps(number: int, size: tuple[int, int], check_legible) -> None:
    titles = [f"$a_{i}$, taken for something else\nsecond line" for i in range(number)]
    images = [Image.new("RGB", size)] * number
    check_legible(image_grid(images, titles, heading="Worst mistakes", about="cnn on x " * 20))
