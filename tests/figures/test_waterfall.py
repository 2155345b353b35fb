from sweeper.figures.waterfall import waterfall


def test_each_change_has_a_bar_from_the_value_before_it() -> None:
    figure = waterfall(0.5, [("a", 0.8, 0.3), ("b", 0.7, -0.1)], "default", "accuracy")
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["default", "a", "b", "winner"]
    bars = [(round(b.get_x(), 6), round(b.get_width(), 6)) for b in axes.patches]
    assert bars == [(0.0, 0.5), (0.0, 0.7), (0.5, 0.3), (0.8, -0.1)]


def test_a_path_without_changes_has_a_width() -> None:
    [axes] = waterfall(0.0, [], "default", "accuracy").axes
    low, high = axes.get_xlim()
    assert low < high
