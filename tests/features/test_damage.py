"""Checkpoints with flipped bytes: refused in one line, except where a trial can do without them."""

import logging
import random
import shutil
from pathlib import Path

import pytest
import torch

from study_side import StudySide
from sweeper import trial
from sweeper.errors import CheckpointError, ConfigError
from sweeper.evaluate import evaluate
from sweeper.predict import predict
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_file import write_checkpoint

QUICK = ("trainer.train_limit=200", "trainer.val_limit=50", "model.channels=[4,8]")
# At this rate the best epoch is not the last one.
UNSTEADY = (*QUICK, "optimizer=sgd", "optimizer.lr=0.5", "trainer.epochs=4")


def flip(path: Path, count: int = 20) -> None:
    """Flip bytes of a file; a hard link to it keeps its content."""
    data, rng = bytearray(path.read_bytes()), random.Random(0)
    for position in rng.sample(range(len(data)), count):
        data[position] ^= 0xFF
    path.unlink()
    path.write_bytes(data)


@pytest.fixture
def run(ran_before) -> Path:
    """The checkpoints of a run whose best epoch is not its last one."""
    folder = ran_before(*UNSTEADY) / "checkpoints"
    assert len(read_checkpoint(folder / "best.pt")["state"]["history"]) < 4
    return folder


@pytest.mark.parametrize("tool", [evaluate, predict])
def test_a_damaged_checkpoint_is_neither_evaluated_nor_used_to_predict(
    run, refuses, tool, tmp_path
) -> None:
    flip(run / "best.pt")
    (tmp_path / "image.png").write_bytes(b"")
    words = [str(tmp_path / "image.png")] if tool is predict else []
    with refuses(CheckpointError, r"best\.pt cannot be read as a checkpoint: it is damaged"):
        tool([f"checkpoint={run / 'best.pt'}", *words])


def test_one_flipped_byte_of_a_weight_is_enough(run, refuses) -> None:
    path = run / "best.pt"
    weights = read_checkpoint(path)["model"].values()
    # As they lie in memory, which is not the order of their dimensions with channels last.
    largest = bytes(max(weights, key=torch.numel).untyped_storage().tolist())
    data = path.read_bytes()
    position = data.index(largest[:64]) + 3
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    with refuses(CheckpointError, "damaged"):
        evaluate([f"checkpoint={path}"])


@pytest.mark.parametrize("damaged", ["last.pt", "best.pt"])
def test_a_run_does_not_resume_from_damaged_checkpoints(run, ran, refuses, damaged) -> None:
    flip(run / damaged)
    with refuses(CheckpointError, rf"{damaged} cannot be read as a checkpoint: it is damaged"):
        ran(*UNSTEADY[:-1], "trainer.epochs=5", f"resume={run}/last.pt", folder="again")


def test_weights_of_a_damaged_checkpoint_are_not_trained_further(run, built, refuses) -> None:
    flip(run / "best.pt")
    with refuses(ConfigError, r"init\.weights=\S*best\.pt holds no weights, or is damaged"):
        built(*QUICK, f"init.weights={run / 'best.pt'}")


def test_a_checkpoint_of_an_earlier_version_is_resumed(run, ran) -> None:
    for name in ("last.pt", "best.pt"):
        content = torch.load(run / name, weights_only=True)
        torch.save(content, run / name)  # without a checksum of the whole file
    assert ran(*UNSTEADY[:-1], "trainer.epochs=5", f"resume={run}/last.pt", folder="again") >= 0


@pytest.mark.parametrize("file", ["last.pt", "best.pt"])
def test_a_checkpoint_without_a_part_is_not_resumed(run, ran, refuses, file) -> None:
    content = torch.load(run / file, weights_only=True)
    for part in ("identity", "state", "model", "rng"):
        write_checkpoint(run / file, {key: content[key] for key in content if key != part})
        with refuses(CheckpointError, rf"{file} is damaged: it has no {part}"):
            ran(*UNSTEADY[:-1], "trainer.epochs=5", f"resume={run}/last.pt", folder="again")


def test_the_best_checkpoint_of_another_epoch_is_refused(run, ran, refuses) -> None:
    ran(*UNSTEADY[:-1], "trainer.epochs=1", folder="other")
    best = len(read_checkpoint(run / "best.pt")["state"]["history"])
    if best == 1:
        shutil.copy(run / "last.pt", run / "best.pt")
    else:
        shutil.copy(run.parents[1] / "other/checkpoints/best.pt", run / "best.pt")
    with refuses(CheckpointError, rf"best\.pt is of epoch \d, and the run's best epoch is {best}"):
        ran(*UNSTEADY[:-1], "trainer.epochs=5", f"resume={run}/last.pt", folder="again")


def test_a_run_killed_before_it_replaced_best_pt_goes_on_from_its_own_best(ran, tmp_path) -> None:
    overrides = (*QUICK, "optimizer.lr=0.01")
    ran(*overrides, "trainer.epochs=1", folder="one")
    ran(*overrides, "trainer.epochs=2", folder="two")
    folder = tmp_path / "two/checkpoints"
    assert len(read_checkpoint(folder / "best.pt")["state"]["history"]) == 2
    (folder / "best.pt").unlink()
    shutil.copy(tmp_path / "one/checkpoints/best.pt", folder / "best.pt")
    ran(*overrides, "trainer.epochs=2", f"resume={folder}/last.pt", folder="again")
    best = read_checkpoint(tmp_path / "again/checkpoints/best.pt")
    assert len(best["state"]["history"]) == 2


@pytest.fixture
def attempt(ran, tmp_path):
    """Return a function that runs an attempt at a trial, and returns its steps and its value."""

    def run_attempt(number: int, stop_after: int = 99, reason: str = "timeout"):
        reporter = StudySide(tmp_path / "run", number, stop_after, reason)
        with trial.reported_by(reporter):
            value = ran(*UNSTEADY)
        return reporter.steps, value

    return run_attempt


def warnings_in(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_retried_trial_goes_on_from_its_best_checkpoint(attempt, ran, tmp_path, caplog) -> None:
    whole = ran(*UNSTEADY, folder="whole")
    attempt(0, stop_after=3)
    folder = tmp_path / "run/checkpoints"
    best = len(read_checkpoint(folder / "best.pt")["state"]["history"])
    assert best < 3
    flip(folder / "last.pt")
    assert attempt(1) == (list(range(best + 1, 5)), whole)
    (warning,) = warnings_in(caplog)
    assert "last.pt cannot be read as a checkpoint: it is damaged" in warning
    assert warning.endswith("the trial goes on from best.pt, an older state")


@pytest.mark.parametrize(
    "damaged", [("last.pt", "best.pt"), ("best.pt",)], ids=["both", "the best one"]
)
def test_a_retried_trial_without_usable_checkpoints_starts_again(
    attempt, ran, tmp_path, caplog, damaged
) -> None:
    whole = ran(*UNSTEADY, folder="whole")
    attempt(0, stop_after=3)
    for name in damaged:
        flip(tmp_path / "run/checkpoints" / name)
    assert attempt(1) == ([1, 2, 3, 4], whole)
    (warning,) = warnings_in(caplog)
    assert f"{damaged[0]} cannot be read as a checkpoint: it is damaged" in warning
    assert warning.endswith("the trial starts again from its first epoch")
    read_checkpoint(tmp_path / "run/checkpoints/best.pt")


def test_a_trial_that_another_worker_took_over_writes_no_checkpoint(attempt, tmp_path) -> None:
    attempt(0, stop_after=2)
    before = read_checkpoint(tmp_path / "run/checkpoints/last.pt")["state"]
    attempt(1, stop_after=1, reason="lost")
    assert read_checkpoint(tmp_path / "run/checkpoints/last.pt")["state"] == before
