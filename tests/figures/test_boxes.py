from matplotlib.patches import Rectangle
from PIL import Image

from sweeper.figures.boxes import boxed_images


def test_boxes_lie_where_the_objects_are_under_their_names() -> None:
    images = [Image.new("RGB", (40, 30), "teal"), Image.new("RGB", (30, 40))]
    boxes = [[("cat", (1.0, 2.0, 11.0, 22.0)), ("a$b", (3.0, 3.0, 9.0, 9.0))], []]
    figure = boxed_images(images, boxes, ["first", "second"])
    first, second = figure.axes
    (cat, other) = [patch for patch in first.patches if isinstance(patch, Rectangle)]
    assert (cat.get_x(), cat.get_y(), cat.get_width(), cat.get_height()) == (1, 2, 10, 20)
    assert [text.get_text() for text in first.texts] == ["cat", "a$b"]
    assert cat.get_edgecolor() != other.get_edgecolor()
    assert not second.patches
    assert [axes.get_title() for axes in (first, second)] == ["first", "second"]
    figure.canvas.draw()


def test_names_stay_inside_the_image_and_can_be_read_on_their_colour() -> None:
    whole = ("whole", (1.0, 1.0, 500.0, 375.0))
    corner = ("right", (400.0, 300.0, 520.0, 380.0))  # larger than the image
    figure = boxed_images([Image.new("RGB", (500, 375))], [[whole, corner]], ["one"])
    right, left = sorted(figure.axes[0].texts, key=lambda text: text.get_text())
    assert [each.get_text() for each in (right, left)] == ["right", "whole"]
    figure.canvas.draw()
    picture = figure.axes[0].get_window_extent()
    for text in (left, right):
        extent = text.get_window_extent()
        assert picture.x0 - 2 <= extent.x0 < extent.x1 <= picture.x1 + 2
        assert picture.y0 - 2 <= extent.y0 < extent.y1 <= picture.y1 + 2
    assert left.get_color() != right.get_color()
