"""The importance of each parameter of a study."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.study.view import StudyView
from sweeper.figures.style import (
    BLUE,
    MARGIN,
    PALE,
    SMALL,
    StyledFigure,
    new_figure,
    panel,
    styled,
)

MOST_BARS = 15


@styled()
def importances(view: StudyView) -> StyledFigure:
    """Draw a bar for each parameter, the most important one at the top."""
    bars = shares(view.importances, MOST_BARS)
    names = [fitted(name, 3.6, SMALL) for name in bars]
    left = max(text_width(name, SMALL) for name in names) + 0.1
    title = f"What mattered for {' and '.join(view.metrics)}"
    height = 0.75 + 0.36 * len(bars)
    figure = new_figure(10, height, title, view.heading(view.basis), layout=None)
    width, _ = figure.get_size_inches()
    axes = panel(
        figure, left + 2 * MARGIN, 0.6, width - left - 3 * MARGIN, height - 0.65,
    )  # fmt: skip
    draw_importances(axes, bars, names)
    axes.set_xlabel("importance (share of all parameters)")
    return figure


def draw_importances(axes: Axes, bars: Mapping[str, float], names: list[str]) -> None:
    """Draw bars with their shares; `names` are those of the bars, as they are to be shown."""
    rows = range(len(bars))
    colours = [PALE if name.startswith("…") else BLUE for name in bars]
    axes.barh(rows, list(bars.values()), 0.66, color=colours)
    for row, share in zip(rows, bars.values(), strict=True):
        axes.text(share, row, f" {share:.0%}", va="center", fontsize=SMALL)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    most = max(bars.values(), default=0.0) or 1.0
    step = 0.1 if most > 0.25 else 0.05
    ticks = [step * i for i in range(round(1 / step) + 1) if step * i <= most * 1.12]
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.set_xlim(0, most * 1.12)


def shares(importances: Mapping[str, float], most: int) -> dict[str, float]:
    """Return the largest importances, and in place of too many others their sum."""
    ranked = sorted(importances.items(), key=lambda item: -item[1])
    if len(ranked) <= most:
        return dict(ranked)
    others = ranked[most - 1 :]
    return dict(ranked[: most - 1]) | {f"… {len(others)} others": sum(v for _, v in others)}
