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
