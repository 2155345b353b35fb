"""A run as a trial of a study: what it reports, when it ends, and where it goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import open_dict

from study_side import StudySide
from sweeper import trial
from sweeper.build.recipe import verify
from sweeper.errors import CheckpointError, ConfigError, TrainingError
from sweeper.run.conclude import score_winner
from sweeper.run.invocation import Invocation
from sweeper.training.checkpoint import read_checkpoint

QUICK = ("trainer.train_limit=200", "trainer.val_limit=50", "model.channels=[4,8]")
TRACKER = "sweeper.tracking.tracker.NullTracker"


def store_on_full_disk(tracker, build, metrics, step) -> None:
    raise OSError(28, "No space left on device")


def epochs(folder: Path) -> int:
    return len(read_checkpoint(folder / "checkpoints/last.pt")["state"]["history"])


def test_every_epoch_is_reported(ran, tmp_path) -> None:
    reporter = StudySide(tmp_path / "run")
    with trial.reported_by(reporter):
        ran(*QUICK, "trainer.epochs=3")
    assert reporter.steps == [1, 2, 3]


def test_a_pruned_trial_ends_after_its_epoch_and_is_marked(ran, tracked, tmp_path) -> None:
    with trial.reported_by(StudySide(tmp_path / "run", stop_after=2)):
        ran(*QUICK, "trainer.epochs=9")
    assert epochs(tmp_path / "run") == 2
    assert tracked[-2:] == [("tags", {"sweeper.state": "pruned"}), ("finish", "KILLED", "pruned")]


@pytest.mark.parametrize(("figures", "are_drawn"), [("auto", False), ("true", True)])
def test_a_trial_draws_figures_only_if_they_are_asked_for(
    ran, tracked, tmp_path, figures, are_drawn
) -> None:
    with trial.reported_by(StudySide(tmp_path / "run")):
        ran(*QUICK, "trainer.epochs=1", f"figures={figures}")
    assert (tmp_path / "run/figures/learning_curves.png").exists() == are_drawn
    tracked_in = {entry[2] for entry in tracked if entry[0] == "artifact"}
    assert ("figures" in tracked_in) == are_drawn


def test_a_bound_that_the_network_breaks_is_found_before_training(ran, tmp_path) -> None:
    reporter = StudySide(tmp_path / "run", stop_after=0, reason="infeasible")
    with trial.reported_by(reporter):
        ran(*QUICK)
    # 4 x 25 + 4, 8 x 4 x 25 + 8, and 10 x 8 x 2 x 2 + 10
    assert reporter.notes["n_parameters"] == 104 + 808 + 330
    assert reporter.steps == []
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_later_attempt_goes_on_at_the_next_epoch(ran, tmp_path) -> None:
    with trial.reported_by(StudySide(tmp_path / "run", stop_after=2, reason="timeout")):
        ran(*QUICK, "trainer.epochs=4")
    again = StudySide(tmp_path / "run", attempt=1)
    with trial.reported_by(again):
        value = ran(*QUICK, "trainer.epochs=4")
    assert epochs(tmp_path / "run") == 4
    assert value == ran(*QUICK, "trainer.epochs=4", folder="whole")


def test_a_later_attempt_needs_the_weights_it_started_from_no_more(ran, tmp_path, built) -> None:
    weights = tmp_path / "a.pt"
    torch.save(built(*QUICK, "seed=1").model.state_dict(), weights)
    overrides = (*QUICK, "init.weights=a.pt", "trainer.epochs=2")
    with trial.reported_by(StudySide(tmp_path / "run", stop_after=1, reason="timeout")):
        ran(*overrides)
    weights.unlink()
    with trial.reported_by(StudySide(tmp_path / "run", attempt=1)):
        ran(*overrides)
    assert epochs(tmp_path / "run") == 2


def test_a_trials_run_is_tied_to_its_study(ran, tracked, tmp_path) -> None:
    with trial.reported_by(StudySide(tmp_path / "run")):
        ran(*QUICK, "trainer.epochs=1")
    info = tracked[0][1]
    tied = {"mlflow.parentRunId": "parent", "sweeper.study": "study", "sweeper.trial": "7"}
    assert tied.items() <= info.tags.items()
    assert info.name == "trial 7"


def test_a_trial_leaves_the_test_split_to_the_winner(ran, tracked, tmp_path) -> None:
    with trial.reported_by(StudySide(tmp_path / "run")):
        ran(*QUICK, "trainer.epochs=2")
    assert not any(name.startswith("test/") for name in logged(tracked))


def logged(tracked) -> dict[str, float]:
    metrics = [entry[1] for entry in tracked if entry[0] == "metrics"]
    return {name: value for each in metrics for name, value in each.items()}


@pytest.fixture
def job(composed, tmp_path, monkeypatch):
    """Return a function that returns the config of a job in the folder `run`."""

    def config(*overrides: str):
        got = composed(*QUICK, *overrides)
        invocation = Invocation(got.choices, QUICK, QUICK, tmp_path / "run", tmp_path)
        monkeypatch.setattr(Invocation, "of_job", lambda cfg: invocation)
        return got.cfg

    return config


def test_the_winner_has_the_scores_of_a_run_outside_a_study(ran, tracked, job, tmp_path) -> None:
    ran(*QUICK, "trainer.epochs=3", folder="alone")
    alone = {k: v for k, v in logged(tracked).items() if k.startswith("test/")}
    reporter = StudySide(tmp_path / "run", attempt=1)
    cfg = job("trainer.epochs=3")
    with trial.reported_by(reporter):
        ran(*QUICK, "trainer.epochs=3")
        tracked.clear()
        assert score_winner(cfg, reporter.info) == alone
    assert logged(tracked) == alone
    assert tracked[-1] == ("finish", "FINISHED", "")


def test_the_record_of_a_scored_winner_ends_as_before(ran, tracked, job, tmp_path) -> None:
    reporter = StudySide(tmp_path / "run", attempt=1)
    stopping = ("stopping=patience", "stopping.patience=1", "stopping.min_delta=1")
    cfg = job("trainer.epochs=9", *stopping)
    with trial.reported_by(reporter):
        ran(*QUICK, "trainer.epochs=9", *stopping)
        end = tracked[-2:]
        tracked.clear()
        score_winner(cfg, reporter.info)
    assert end[0] == ("tags", {"sweeper.state": "complete"})
    assert end[1] == ("finish", "FINISHED", "no improvement for 1 epochs")
    assert tracked[-2:] == end


def test_a_winner_whose_end_was_not_saved_is_not_scored(ran, tracked, job, tmp_path) -> None:
    reporter = StudySide(tmp_path / "run", attempt=1)
    cfg = job("trainer.epochs=3")
    with trial.reported_by(reporter):
        value = ran(*QUICK, "trainer.epochs=3")
        tracked.clear()
        reporter.info = replace(reporter.info, values=(value + 0.01,))
        with pytest.raises(CheckpointError, match="last.pt is of an earlier epoch"):
            score_winner(cfg, reporter.info)
        assert not logged(tracked)
        reporter.info = replace(reporter.info, values=(value,))
        assert score_winner(cfg, reporter.info)


def test_a_winner_whose_model_cannot_be_stored_is_to_be_scored_again(
    ran, tracked, job, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(f"{TRACKER}.wants_model", True)
    reporter = StudySide(tmp_path / "run", attempt=1)
    cfg = job("trainer.epochs=1")
    with trial.reported_by(reporter):
        ran(*QUICK, "trainer.epochs=1")
        with monkeypatch.context() as full:
            full.setattr(f"{TRACKER}.log_model", store_on_full_disk)
            with pytest.raises(TrainingError, match="as a model: No space left on device"):
                score_winner(cfg, reporter.info)
        assert tracked[-1] == ("finish", "FINISHED", "")
        assert score_winner(cfg, reporter.info)
    assert [entry[0] for entry in tracked].count("model") == 1


def test_a_run_whose_model_cannot_be_stored_goes_on(ran, tracked, monkeypatch, caplog) -> None:
    monkeypatch.setattr(f"{TRACKER}.wants_model", True)
    monkeypatch.setattr(f"{TRACKER}.log_model", store_on_full_disk)
    assert ran(*QUICK, "trainer.epochs=1") > 0
    assert tracked[-1][:2] == ("finish", "FINISHED")
    assert "cannot be recorded as a model: No space left on device" in caplog.text


def test_a_winner_without_a_checkpoint_is_not_scored(composed, tmp_path) -> None:
    reporter = StudySide(tmp_path / "run", attempt=1)
    with trial.reported_by(reporter), pytest.raises(CheckpointError, match="of trial 7"):
        score_winner(composed().cfg, reporter.info)


def test_several_metrics_are_several_values(ran) -> None:
    accuracy, size = ran(*QUICK, "trainer.epochs=1", "metric=[val/accuracy,n_parameters]")
    assert 0 <= accuracy <= 1
    assert size == 104 + 808 + 330


@pytest.mark.parametrize(
    ("overrides", "directions"),
    [
        ([], "maximize"),
        (["metric=val/loss"], "minimize"),
        (["metric=[val/accuracy,n_parameters]"], ["maximize", "minimize"]),
        (["direction=minimize"], "minimize"),
    ],
)
def test_the_study_seeks_what_the_run_is_judged_by(composed, overrides, directions) -> None:
    assert composed(*overrides, hydra=True).hydra.sweeper.direction == directions


def test_bounds_are_given_on_the_command_line(composed) -> None:
    cfg = composed("hydra.sweeper.constraints={n_parameters: 2000}", hydra=True)
    assert cfg.hydra.sweeper.constraints == {"n_parameters": 2000}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.channels=[8,8,8,8]"], "reduced to nothing"),
        (["optimizer.lr=-1"], r"optimizer\.lr=-1"),
        (["model=vgg11", "scheduler=step", "scheduler.step_size=0"], "step_size=0"),
    ],
)
def test_what_a_space_can_choose_is_built_on_nothing_first(composed, overrides, message) -> None:
    cfg = composed(*overrides, hydra=True)
    with open_dict(cfg), pytest.raises(ConfigError, match=message):
        verify(cfg)


@pytest.mark.parametrize("model", ["cnn", "vgg19", "resnet50", "mlp"])
def test_what_can_be_built_is_accepted(composed, model) -> None:
    verify(composed(f"model={model}", hydra=True))


@pytest.mark.parametrize(("params", "expected"), [({}, "digits"), ({"data": "digits"}, "study")])
def test_a_trial_is_recorded_in_the_experiment_of_its_study(
    ran, tracked, tmp_path, params, expected
) -> None:
    reporter = StudySide(tmp_path / "run", stop_after=0, reason="infeasible")
    reporter.info = replace(reporter.info, params=params)
    with trial.reported_by(reporter):
        ran(*QUICK)
    assert tracked[0][1].experiment == expected
