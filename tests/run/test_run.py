"""A whole run: reproducible results, complete records, and failures with their reason."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sweeper.errors import ConfigError, TrainingError
from sweeper.objectives import SIZES
from sweeper.tracking.tags import config_of
from sweeper.training.checkpoint import read_checkpoint

QUICK = ("trainer.epochs=2", "trainer.train_limit=300")


def history(folder) -> list[dict[str, float]]:
    epochs = read_checkpoint(folder / "checkpoints/last.pt")["state"]["history"]
    timed = {"epoch_seconds", "images_per_second"}
    return [{k: v for k, v in epoch.items() if k not in timed} for epoch in epochs]


@pytest.mark.parametrize("overrides", [(), ("model=alexnet", "model.width=0.2", "optimizer=sgd")])
def test_the_same_command_gives_the_same_numbers(ran, tmp_path, overrides) -> None:
    values = [ran(*QUICK, *overrides, folder=folder) for folder in ("one", "two")]
    assert values[0] == values[1]
    assert history(tmp_path / "one") == history(tmp_path / "two")


def test_another_number_of_threads_gives_the_same_first_digits(ran, tmp_path) -> None:
    n_threads = torch.get_num_threads()
    try:
        for threads in (1, 2):
            ran("trainer.epochs=2", f"trainer.threads={threads}", folder=f"run{threads}")
    finally:
        torch.set_num_threads(n_threads)
    one, two = ([epoch["val/loss"] for epoch in history(tmp_path / f"run{n}")] for n in (1, 2))
    assert one == pytest.approx(two, rel=1e-3)


def test_another_seed_gives_other_numbers(ran, tmp_path) -> None:
    ran(*QUICK, folder="one")
    ran(*QUICK, "seed=1", folder="two")
    assert history(tmp_path / "one") != history(tmp_path / "two")


def test_a_run_returns_the_best_value_of_the_monitored_metric(ran, tmp_path) -> None:
    value = ran(*QUICK, "metric=val/loss", "optimizer.lr=0.03", "trainer.epochs=5")
    assert value == min(epoch["val/loss"] for epoch in history(tmp_path / "run"))


def test_the_default_run_learns_the_digits(ran, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    ran()
    accuracy = next(line for line in caplog.text.splitlines() if line.startswith("test accuracy"))
    assert float(accuracy.split()[-1]) >= 0.97


def test_a_loss_that_is_not_finite_raises_with_a_remedy(ran) -> None:
    with pytest.raises(
        TrainingError, match=r"The training loss became .*(nan|inf).* smaller optimizer.lr"
    ):
        ran("optimizer=sgd", "optimizer.lr=1e30")


def test_early_stopping_ends_the_run(ran, tmp_path) -> None:
    ran("stopping=patience", "stopping.patience=1", "optimizer.lr=1e-9", "trainer.epochs=9")
    assert len(history(tmp_path / "run")) < 9


def test_the_artifacts_are_in_the_runs_folder(ran, tmp_path) -> None:
    ran(*QUICK, "figures=true")
    files = {
        str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*.*") if p.is_file()
    }
    figures = ("learning_curves", "confusion_matrix", "training_batch", "worst_mistakes")
    assert files == {
        "checkpoints/best.pt",
        "checkpoints/last.pt",
        "config.yaml",
        "overrides.yaml",
        "model_summary.txt",
        *(f"figures/{name}.png" for name in figures),
    }


def test_every_epoch_is_one_write_followed_by_the_final_metrics(ran, tracked) -> None:
    ran(*QUICK)
    epoch = {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"}
    outcome = {"best/val_accuracy", "test/loss", "test/accuracy"}
    outcome |= {"n_parameters", "multiply_adds"}
    writes = [(set(entry[1]), entry[2]) for entry in tracked if entry[0] == "metrics"]
    timed = epoch | {"epoch_seconds", "images_per_second", "best/val_accuracy"}
    assert writes == [(timed, 1), (timed, 2), (outcome, 2)]
    assert tracked[-1] == ("finish", "FINISHED", "")


def test_each_objective_is_recorded_as_it_was_at_the_best_epoch(ran, tracked) -> None:
    value = ran(*QUICK, "metric=[val/accuracy,train/loss,n_parameters]")
    metrics = [entry[1] for entry in tracked if entry[0] == "metrics"][-1]
    names = ("best/val_accuracy", "best/train_loss", "n_parameters")
    assert value == tuple(metrics[name] for name in names)


def test_params_have_options_and_values(ran, tracked) -> None:
    ran(*QUICK, "optimizer=sgd", "model.kernel_size=3")
    info = tracked[0][1]
    expected = {"model": "cnn", "optimizer": "sgd", "model.kernel_size": "3"}
    assert expected.items() <= info.params.items()
    assert "optimizer.lr" not in info.params
    config = config_of(info.tags) | info.params
    assert config["optimizer.lr"] == "0.01"
    assert not [key for key in config if "_target_" in key or "search" in key]
    assert {"model": "cnn", "data": "digits", "seed": "0"}.items() <= info.tags.items()
    assert info.experiment == info.dataset.name == "digits"
    assert json.loads(info.dataset.profile)["sizes"]["test"] > 0


def test_a_failed_run_is_tracked_as_failed_with_its_reason(ran, tracked) -> None:
    with pytest.raises(TrainingError):
        ran("optimizer=sgd", "optimizer.lr=1e30")
    assert tracked[-1][:2] == ("finish", "FAILED")
    assert "loss became" in tracked[-1][2]


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (KeyboardInterrupt(), ("KILLED", "interrupted")),
        (OSError("no room"), ("FAILED", "no room")),
        (MemoryError(), ("FAILED", "MemoryError")),
    ],
)
def test_the_record_of_a_run_ends_whatever_ends_its_start(
    ran, tracked, monkeypatch, error, ended
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("sweeper.run.record.write_documents", fail)
    with pytest.raises(type(error)):
        ran(*QUICK)
    assert [entry[0] for entry in tracked] == ["start", "finish"]
    assert tracked[-1] == ("finish", *ended)


def test_a_network_that_cannot_be_measured_is_not_tracked(ran, tracked, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ConfigError("too large")

    monkeypatch.setattr("sweeper.run.start.summarise", fail)
    with pytest.raises(ConfigError):
        ran(*QUICK)
    assert tracked == []


def test_a_run_with_an_invalid_config_is_not_tracked(ran, tracked) -> None:
    with pytest.raises(ConfigError):
        ran("optimizer.lr=-1")
    assert tracked == []


def points(folder) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0}).Reload()
    timed = {"epoch_seconds", "images_per_second"}
    # Each run logs the sizes at its end; the one that resumes it takes them over.
    tags = set(events.Tags()["scalars"]) - timed - set(SIZES)
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in sorted(tags)}


@pytest.mark.parametrize("folder", ["first", "second"])
def test_a_resumed_run_has_the_tensorboard_scalars_of_an_uninterrupted_one(
    ran, tmp_path, folder
) -> None:
    watched = (*QUICK, "tracking=tensorboard", "tracking.watch.layers=[]")
    ran(*watched, "trainer.epochs=3", folder="whole")
    ran(*watched, folder="first")
    last = tmp_path / "first/checkpoints/last.pt"
    ran(*watched, "trainer.epochs=3", f"resume={last}", folder=folder)
    assert points(tmp_path / folder) == points(tmp_path / "whole")
