import threading
from contextlib import contextmanager, suppress
from io import BytesIO

import matplotlib
import numpy as np
import pytest

from sweeper.figures.drawing import drawn, png
from sweeper.figures.style import WIDTH, new_figure, panel, styled


def test_a_figure_changes_no_setting_of_the_caller() -> None:
    before = dict(matplotlib.rcParams)
    figure = new_figure(4, 3, "title", "about")
    figure.subplots()
    drawn(figure)
    assert dict(matplotlib.rcParams) == before


def test_settings_of_the_caller_change_no_figure() -> None:
    def pixels() -> np.ndarray:
        figure = new_figure(4, 3, "title $x$", "about", layout=None)
        panel(figure, 1, 1, 5, 2).plot([0, 1])
        return np.asarray(drawn(figure))

    plain = pixels()
    dark = {"figure.facecolor": "black", "text.color": "white", "font.size": 30, "lines.color": "r"}
    with matplotlib.rc_context(dark):
        assert (pixels() == plain).all()


def test_a_figure_is_1600_pixels_wide_and_its_file_holds_its_pixels() -> None:
    from PIL import Image

    image = drawn(new_figure(1, 1, "title"))
    assert image.width == 160 * WIDTH == 1600
    assert (np.asarray(Image.open(BytesIO(png(image)))) == np.asarray(image)).all()


@pytest.mark.parametrize("title", ["short", "W" * 200, "cost$ a_$x$", "日本語"])
def test_a_title_of_any_length_and_script_fits(title: str, check_legible) -> None:
    check_legible(new_figure(5, 2, title, f"{title} " * 30))


def test_the_style_holds_within_itself() -> None:
    with styled(), styled():
        assert matplotlib.rcParams["text.parse_math"] is False
    assert matplotlib.rcParams["text.parse_math"] is True


def test_a_thread_that_leaves_the_style_does_not_end_that_of_another(monkeypatch) -> None:
    in_style, most, both, ready = [], [], threading.Barrier(2), threading.Barrier(2)

    @contextmanager
    def rc_context(_):
        in_style.append(1)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.1)  # for another thread that would change the same settings
        most.append(len(in_style))
        yield
        in_style.pop()

    def draw() -> None:
        ready.wait(60)
        with styled():
            pass

    monkeypatch.setattr(matplotlib, "rc_context", rc_context)
    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]


def test_drawing_a_study_imports_neither_pyplot_nor_plotly() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from sweeper.sweep.picture.rehearsal import rehearse; rehearse(); "
        "sys.exit(str({'matplotlib.pyplot', 'plotly', 'torch'} & set(sys.modules) or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
