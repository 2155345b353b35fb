from matplotlib.figure import Figure
from matplotlib.image import imread

from sweeper.figures.cropped import save_cropped


def test_a_figure_is_cropped_like_matplotlibs_tight_box(tmp_path) -> None:
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.set_ylabel("a label that reaches over the edge of the figure, and is kept")
    axes.plot([0, 1], [0, 1])
    figure.savefig(tmp_path / "tight.png", dpi=110, bbox_inches="tight")
    save_cropped(figure, tmp_path / "cropped.png")
    tight, cropped = (imread(tmp_path / f"{name}.png").shape[:2] for name in ("tight", "cropped"))
    assert all(abs(a - b) < 12 for a, b in zip(tight, cropped, strict=True))
