import pytest

from sweeper.figures.study.timeline import GOES_ON, Bar, timeline


def test_each_worker_has_a_row_and_each_stretch_a_bar() -> None:
    figure = timeline(
        [
            Bar("host 1", 0, 100.0, 101.0, "paused", is_promoted=False),
            Bar("host 2", 1, 100.0, 104.0, "complete", is_promoted=False),
            Bar("host 1", 0, 101.5, 104.0, "complete", is_promoted=True),
        ]
    )
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["host 1", "host 2"]
    assert [(p.get_x(), p.get_width()) for p in axes.patches] == [(0, 1), (0, 4), (1.5, 2.5)]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "0"]
    assert "seconds" in axes.get_xlabel()
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["complete", "paused", GOES_ON]


@pytest.mark.parametrize("n", [1, 3, 200])
def test_no_number_or_name_is_cut_or_overlaps(n: int, check_legible) -> None:
    bars = [Bar(f"a_$host$ with a long name {i}", i, i, i + 9, "pruned", False) for i in range(n)]
    check_legible(timeline(bars, "study s"))


def test_without_bars_there_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no trial has run"):
        timeline([])
