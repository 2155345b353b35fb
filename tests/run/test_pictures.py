"""The figures of a run or an evaluation in their folder."""

from matplotlib.figure import Figure

from sweeper.run.pictures import save_figures


def test_figures_of_earlier_results_are_removed(tmp_path) -> None:
    for name in ("confusion_matrix", "worst_mistakes", "learning_curves", "mine"):
        (tmp_path / f"{name}.png").write_text("old")
    assert save_figures({"confusion_matrix": Figure()}, tmp_path) == [
        tmp_path / "confusion_matrix.png"
    ]
    left = {path.stem: path.read_bytes()[1:4] for path in tmp_path.iterdir()}
    assert left == {"confusion_matrix": b"PNG", "learning_curves": b"ld", "mine": b"ld"}
