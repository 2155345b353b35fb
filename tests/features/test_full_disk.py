"""A disk that is full while a run writes to it: the run goes on, and its results stay right."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeper.data.cache import open_cached
from sweeper.data.source import Decoded, Split
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_file import read_checked, write_checkpoint
from sweeper.training.checkpoint_store import CheckpointStore, SaveCheckpoints
from sweeper.training.state import RunState

SMALL = ("trainer.train_limit=200", "trainer.val_limit=100", "model.channels=[4,8]")
LEARNING = (*SMALL, "trainer.epochs=6", "model.hidden=[64]")


@dataclass(frozen=True)
class Disk:
    """A file system of one MiB in memory."""

    folder: Path

    def fill(self) -> None:
        """Write until nothing more can be written."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.folder / "filler").unlink()

    def files(self) -> list[str]:
        paths = self.folder.rglob("*")
        return sorted(str(path.relative_to(self.folder)) for path in paths if path.is_file())


@pytest.fixture
def disk(small_disk) -> Disk:
    return Disk(small_disk)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in records]


def results(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the table of results with values that are the same for the same run."""
    tables = [r.getMessage() for r in caplog.records if r.getMessage().startswith("\nbest epoch")]
    lines = tables[-1].splitlines()
    return [line for line in lines if not line.startswith(("seconds", "artifacts"))]


def fill_between(patch: pytest.MonkeyPatch, disk: Disk, first: int, last: int) -> None:
    """Fill the disk before the checkpoint of epoch `first` and free it after that of `last`."""
    save = SaveCheckpoints.on_epoch_end

    def on_epoch_end(callback: SaveCheckpoints, state: RunState) -> None:
        if state.epoch == first:
            disk.fill()
        save(callback, state)
        if state.epoch == last:
            disk.free()

    patch.setattr(SaveCheckpoints, "on_epoch_end", on_epoch_end)


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one_and_no_other_file(disk) -> None:
    path = disk.folder / "last.pt"
    write_checkpoint(path, {"weights": torch.ones(2000)})
    disk.fill()
    files = disk.files()
    for size in (10, 2000, 500_000):  # written at the file's end, in its middle, at its start
        with pytest.raises(OSError, match="No space left on device"):
            write_checkpoint(path, {"weights": torch.zeros(size)})
        assert disk.files() == files
    assert torch.equal(read_checked(path)["weights"], torch.ones(2000))
    disk.free()
    write_checkpoint(path, {"weights": torch.zeros(2000)})
    assert torch.equal(read_checked(path)["weights"], torch.zeros(2000))


def test_a_run_goes_on_while_the_disk_is_full_and_saves_again(
    ran, tmp_path, disk, monkeypatch, caplog
) -> None:
    caplog.set_level(logging.INFO)
    value = ran(*LEARNING, folder="whole")
    whole = results(caplog)
    with monkeypatch.context() as patch:
        fill_between(patch, disk, 2, 5)
        assert ran(*LEARNING, folder="disk/run") == value
    (warning,) = warnings_in(caplog)
    assert "checkpoints cannot be written (No space left on device)" in warning
    assert "disk/run/checkpoints is written again, after epoch 6" in caplog.text
    assert results(caplog) == whole
    checkpoints = [name for name in disk.files() if "checkpoints" in name]
    assert checkpoints == ["run/checkpoints/best.pt", "run/checkpoints/last.pt"]
    for name in ("best.pt", "last.pt"):
        saved, expected = (
            read_checkpoint(tmp_path / run / "checkpoints" / name) for run in ("disk/run", "whole")
        )
        assert all(torch.equal(saved["model"][k], v) for k, v in expected["model"].items())


def test_the_best_network_is_evaluated_although_the_disk_stays_full(
    ran, tmp_path, disk, monkeypatch, caplog, tracked
) -> None:
    caplog.set_level(logging.INFO)
    value = ran(*LEARNING, folder="whole")
    whole = results(caplog)
    assert "best epoch    1 of" not in whole[1]
    tracked.clear()
    with monkeypatch.context() as patch:
        patch.setattr("sweeper.tracking.tracker.NullTracker.wants_model", True)
        fill_between(patch, disk, 2, 99)
        assert ran(*LEARNING, folder="disk/run") == value
    assert results(caplog) == whole
    first, second, third = warnings_in(caplog)
    assert "goes on and tries again after the next epoch" in first
    assert "best.pt cannot be written (No space left on device): the results are right" in second
    assert third.startswith("the network is not recorded as a model")
    assert ("artifact", "best.pt", "checkpoints") not in tracked  # it is the one of epoch 1
    assert "model" not in {kind for kind, *_ in tracked}
    last = read_checkpoint(disk.folder / "run/checkpoints/last.pt")
    assert len(last["state"]["history"]) == 1
    disk.free()
    last = disk.folder / "run/checkpoints/last.pt"
    assert ran(*LEARNING, f"resume={last}", folder="again") == value


def test_a_run_that_never_had_room_is_interrupted_in_one_line(
    ran, disk, monkeypatch, caplog
) -> None:
    def interrupt(callback: SaveCheckpoints, state: RunState) -> None:
        if state.batch == 2:
            disk.fill()
            state.interrupt()

    monkeypatch.setattr(SaveCheckpoints, "on_batch_end", interrupt, raising=False)
    with pytest.raises(KeyboardInterrupt):
        ran(*SMALL, folder="disk/run")
    assert warnings_in(caplog)[-1] == "interrupted before anything was saved"
    assert "run/checkpoints" not in "".join(disk.files())


@pytest.mark.parametrize(
    ("full_before", "line"),
    [
        (1, "interrupted before anything was saved"),
        (2, "interrupted after epoch 2, and saved after epoch 1; to resume:\n"),
        (3, "interrupted after epoch 2; to resume:\n"),
    ],
)
def test_an_interrupted_run_names_the_checkpoint_that_it_has_written(
    ran, disk, monkeypatch, caplog, full_before, line
) -> None:
    ran(*SMALL, "trainer.epochs=4", folder="disk/run")  # its last.pt is of another run
    fill_between(monkeypatch, disk, full_before, 99)

    def interrupt(_: SaveCheckpoints, state: RunState) -> None:
        if (state.epoch, state.batch) == (2, 2):
            state.interrupt()

    monkeypatch.setattr(SaveCheckpoints, "on_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ran(*SMALL, "trainer.epochs=4", folder="disk/run")
    assert warnings_in(caplog)[-1].startswith(line)


def test_a_resumed_run_starts_although_its_best_checkpoint_cannot_be_copied(
    ran, tmp_path, disk, caplog, monkeypatch
) -> None:
    overrides = (*LEARNING[:-2], "trainer.epochs=4", "optimizer=sgd", "optimizer.lr=0.5")
    value = ran(*overrides, folder="first")
    copy = CheckpointStore.copy_best_from

    def copy_to_a_full_disk(*arguments) -> None:
        disk.fill()
        copy(*arguments)
        disk.free()

    monkeypatch.setattr(CheckpointStore, "copy_best_from", copy_to_a_full_disk)
    (disk.folder / "run").mkdir()
    resume = f"resume={tmp_path}/first/checkpoints/last.pt"
    assert ran(*overrides, resume, folder="disk/run") == value
    (warning,) = warnings_in(caplog)
    assert "checkpoints cannot be written (No space left on device)" in warning
    assert "run/checkpoints/best.pt" in disk.files()  # written at the end


def arrays() -> Decoded:
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 8, 8), dtype=np.uint8)
    return Decoded(images, np.arange(300, dtype=np.int64) % 3, ("a", "b", "c"))


def test_a_split_that_cannot_be_cached_is_used_from_memory(disk, caplog) -> None:
    disk.fill()
    before = disk.files()
    opened = open_cached("arrays", Split("f" * 64, arrays), disk.folder / "cache")
    assert opened.cache_folder is None
    assert np.array_equal(opened.images, arrays().images)
    (warning,) = warnings_in(caplog)
    assert "arrays is not cached" in warning
    assert warning.endswith("No space left on device")
    assert disk.files() == before
    disk.free()
    opened = open_cached("arrays", Split("f" * 64, arrays), disk.folder / "cache")
    assert opened.cache_folder is not None


def test_data_on_a_full_disk_is_one_line_for_all_splits(built, disk, caplog) -> None:
    disk.fill()
    experiment = built(f"data.cache_dir={disk.folder}/cache")
    assert experiment.data.has_test
    (warning,) = warnings_in(caplog)
    assert "digits-train is not cached" in warning
