from pathlib import Path

import pytest
from torch import nn

from study_side import StudySide
from sweeper import trial
from sweeper.training import report
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.report import ReportToTrial, measure_aside
from sweeper.training.state import RunState

RUN = ("trainer.epochs=2", "trainer.train_limit=320", "trainer.val_limit=50", "data.batch_size=16",
       "model.channels=[4,8]", "model.dropout=0.5", "model.batch_norm=true")  # fmt: skip


def study(folder: Path, attempt: int = 0, pause_after: int | None = None) -> StudySide:
    """Return a study with rungs at fixed positions, which pauses its trial after some reports."""
    return StudySide(folder, attempt, pause_after, reason="paused", rungs=(0.25, 0.75, 2.0))


@pytest.fixture(autouse=True)
def looks_after_few_images(monkeypatch) -> None:
    monkeypatch.setattr(report, "MIN_IMAGES", 0)


@pytest.fixture
def attempts(ran, tmp_path):
    """Return a function that runs a trial in several attempts, and returns all of their steps."""

    def run(*pauses, folder):
        steps = []
        for attempt, pause_after in enumerate((*pauses, None)):
            side = study(tmp_path / folder, attempt, pause_after)
            with trial.reported_by(side):
                ran(*RUN, folder=folder)
            assert side.lengths == {2}
            steps += side.steps
        return steps

    return run


def test_a_paused_trial_goes_on_as_if_nothing_had_happened(attempts, ran, same, tmp_path) -> None:
    assert attempts(1, 1, 1, folder="paused") == [0.25, 0.75, 1, 2]
    assert attempts(folder="whole") == [0.25, 0.75, 1, 2]
    ran(*RUN, folder="single")
    paused, whole, single = (
        read_checkpoint(tmp_path / folder / "checkpoints/last.pt")
        for folder in ("paused", "whole", "single")
    )
    same(paused, whole)
    same(single, whole)


def test_a_paused_trial_is_marked_and_not_evaluated(ran, tracked, tmp_path) -> None:
    with trial.reported_by(study(tmp_path / "run", pause_after=1)):
        ran(*RUN)
    assert tracked[-2:] == [("tags", {"sweeper.state": "paused"}), ("finish", "KILLED", "paused")]
    assert read_checkpoint(tmp_path / "run/checkpoints/last.pt")["state"]["batch"] == 5


def test_a_run_that_has_ended_by_itself_is_not_paused(built, tmp_path) -> None:
    side, callback = study(tmp_path, pause_after=1), ReportToTrial(built(*RUN))
    asked: list[RunState] = []
    for reason in (None, "good enough"):
        state = RunState(9, 20, "val/accuracy", "maximize", stop_reason=reason)
        state.record({"val/accuracy": 0.5})
        side.should_stop = lambda state=state: bool(asked.append(state)) or True
        with trial.reported_by(side):
            callback.on_epoch_end(state)
        assert state.stop_reason == (reason or "paused")
    assert [state.stop_reason for state in asked] == ["paused"]
    assert side.steps == [1, 1]


def test_a_look_leaves_the_modes_of_modules_as_they_were(built) -> None:
    experiment = built(*RUN)
    experiment.model.train()
    frozen = next(m for m in experiment.model.modules() if isinstance(m, nn.BatchNorm2d))
    frozen.eval()
    before = [module.training for module in experiment.model.modules()]
    measured = measure_aside(experiment)
    assert [module.training for module in experiment.model.modules()] == before
    assert 0 <= measured["accuracy"] <= 1


@pytest.mark.parametrize(
    ("overrides", "metric"),
    [((), "train/loss"), (("loss=triplet_margin",), "val/accuracy")],
)
def test_within_an_epoch_only_what_is_cheap_is_measured(built, overrides, metric, tmp_path) -> None:
    callback = ReportToTrial(built(*RUN, *overrides))
    with trial.reported_by(study(tmp_path)):
        callback.on_epoch_start(RunState(2, 20, metric, "maximize"))
    assert callback._looks == {}


def test_few_images_are_not_worth_a_look(built, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(report, "MIN_IMAGES", 100)
    callback = ReportToTrial(built(*RUN))
    with trial.reported_by(study(tmp_path)):
        callback.on_epoch_start(RunState(2, 20, "val/accuracy", "maximize"))
    assert callback._looks == {15: 0.75}
