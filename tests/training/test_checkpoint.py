"""Checkpoints: a resumed run equals an uninterrupted one, and other checkpoints are refused."""

from pathlib import Path

import pytest
import torch

from sweeper.errors import CheckpointError
from sweeper.training.checkpoint import FORMAT, read_checkpoint
from sweeper.training.checkpoint_file import write_checkpoint
from sweeper.training.checkpoint_store import SaveCheckpoints
from sweeper.training.state import RunState

FLIP = "[{_target_: torchvision.transforms.v2.RandomHorizontalFlip}]"
SMALL = ("trainer.train_limit=200", "trainer.val_limit=50", "model.channels=[4,8]")


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model=alexnet", "model.channels=[4,M,4]", "model.hidden=[8]", "scheduler=exponential"),
        ("optimizer=muon", "trainer.ema_decay=0.9", "trainer.accumulate=3"),
        ("loss=mse", "scheduler=plateau", "scheduler.patience=1", "trainer.clip_norm=1"),
        (
            "data.train_transform=[{_target_: torchvision.transforms.v2.RandomCrop,"
            " size: 8, padding: 1}]",
        ),
        ("data=digit_strings", "loss=ctc", "model=crnn", "model.recurrent=8"),
    ],
    ids=["plain", "dropout", "muon-average-accumulation", "plateau", "augmentation", "ctc"],
)
def test_a_resumed_run_equals_the_uninterrupted_one(ran, tmp_path, same, overrides) -> None:
    small = [o for o in SMALL if not any("model=" in override for override in overrides)]
    everything = (*small, *SMALL[:2], *overrides)
    ran(*everything, "trainer.epochs=4", folder="whole")
    ran(*everything, "trainer.epochs=2", folder="half")
    resume = f"resume={tmp_path}/half/checkpoints/last.pt"
    ran(*everything, "trainer.epochs=4", resume, folder="rest")
    for name in ("last.pt", "best.pt"):
        whole, rest = (
            read_checkpoint(tmp_path / run / "checkpoints" / name) for run in ("whole", "rest")
        )
        same(whole, rest)


@pytest.mark.parametrize(
    "extra",
    [
        ("model.hidden=[8]",),
        ("data=voc", "data.root={shapes}", "data.image_size=16", "loss=multilabel_margin"),
        ("data=digit_strings", "loss=ctc", "model=crnn"),
    ],
    ids=["multiclass", "multilabel", "sequence"],
)
def test_a_run_interrupted_inside_an_epoch_resumes_at_the_next_batch(
    ran, tmp_path, monkeypatch, same, shapes, extra
) -> None:
    overrides = (
        *(override.format(shapes=shapes) for override in extra),
        *SMALL,
        "data.batch_size=16",
        "trainer.epochs=2",
        "model.dropout=0.3",
    )
    ran(*overrides, folder="whole")
    with monkeypatch.context() as patch:
        patch.setattr(SaveCheckpoints, "on_batch_end", interrupt_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            ran(*overrides, folder="part")
    stopped = read_checkpoint(tmp_path / "part/checkpoints/last.pt")
    assert (stopped["state"]["batch"], len(stopped["state"]["history"])) == (5, 1)
    ran(*overrides, f"resume={tmp_path}/part/checkpoints/last.pt", folder="rest")
    whole, rest = (
        read_checkpoint(tmp_path / run / "checkpoints/last.pt") for run in ("whole", "rest")
    )
    same(whole, rest)


def interrupt_in_the_second_epoch(callback: SaveCheckpoints, state: RunState) -> None:
    if (state.epoch, state.batch) == (1, 5):
        state.interrupt()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No checkpoint at"),
        (b"not a checkpoint", "is damaged"),
        ({"weights": 1}, "not a checkpoint of sweeper"),
    ],
)
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, content, message) -> None:
    path = tmp_path / "some.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path) -> None:
    torch.save({"format": FORMAT, "model": print}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(tmp_path / "evil.pt")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("model.kernel_size=3", r"another model: features.* \(4, 1, 5, 5\) in the checkpoint"),
        ("model=mlp", "another model"),
        ("optimizer=sgd", "another optimizer"),
        ("optimizer=muon", "another optimizer"),
    ],
)
def test_a_checkpoint_of_another_model_or_optimizer_is_refused(
    ran, tmp_path, changed, message
) -> None:
    small = [*SMALL, "trainer.epochs=1"]
    ran(*small, folder="first")
    if changed.startswith("model="):
        small.remove("model.channels=[4,8]")
    with pytest.raises(CheckpointError, match=message):
        ran(*small, changed, f"resume={tmp_path}/first/checkpoints/last.pt", folder="second")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["seed=1"], "seed is 0 in the checkpoint and 1 in this run"),
        (["data.val_fraction=0.2"], "images of each split is"),
        (["data.batch_size=32"], "batches an epoch is"),
        (["metric=val/loss"], "metric is val/accuracy in the checkpoint and val/loss in this run"),
        (["loss=mse"], r"loss is CrossEntropyLoss\(.*\) in the checkpoint and MSELoss\(.*\) in"),
        (["loss.label_smoothing=0.1"], r"label_smoothing=0\.0.* and .*label_smoothing=0\.1"),
        (["loss.weight=[2,1,1,1,1,1,1,1,1,1]"], r"in the checkpoint and .*weight=\[2\.0, 1\.0"),
        (["scheduler=cosine", "trainer.epochs=3"], "horizon of the schedule is"),
        (["trainer.overfit=true"], "trainer.overfit is None in the checkpoint and True in this"),
        (
            ["optimizer.lr=0.1"],
            r"0\.001 in the checkpoint and 0\.1 .* or init\.weights=PATH in",
        ),
        (["+optimizer.amsgrad=true"], "optimizer.amsgrad is None in the checkpoint and True in"),
        (["~optimizer.weight_decay"], "optimizer.weight_decay is 0.0 in the checkpoint and None"),
        (
            ["data.mean=[4.0]", "data.std=[0.05]"],
            r"data\.mean is None in the checkpoint and \[4\.0\]",
        ),
        (["data.std=[0.05]"], r"data\.std is None in the checkpoint and \[0\.05\] in this run"),
        (["data.image_size=9"], r"data\.image_size is None in the checkpoint and 9 in this run"),
        (["data.resize=crop"], r"data\.resize is squash in the checkpoint and crop in this run"),
        ([f"data.eval_transform={FLIP}"], r"data\.eval_transform is \[\] in the checkpoint and"),
        (["scheduler=step", "scheduler.gamma=0.1"], "scheduler.gamma is 0.5 in the checkpoint"),
    ],
)
def test_a_checkpoint_of_another_experiment_is_refused(ran, tmp_path, changed, message) -> None:
    first = [*SMALL[1:], "trainer.epochs=2", *(o for o in changed if o.startswith("scheduler="))]
    ran(*first, folder="first")
    with pytest.raises(CheckpointError, match=message):
        ran(*first, *changed, f"resume={tmp_path}/first/checkpoints/last.pt", folder="second")


def test_another_transform_of_training_is_accepted(ran, tmp_path) -> None:
    ran(*SMALL, "trainer.epochs=1", folder="first")
    resume = f"resume={tmp_path}/first/checkpoints/last.pt"
    ran(*SMALL, "trainer.epochs=2", f"data.train_transform={FLIP}", resume, folder="second")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("data.batch_size=63", r"data\.batch_size is 64 in the checkpoint and 63 in this run"),
        ("trainer.accumulate=2", r"trainer\.accumulate is 1 in the checkpoint and 2 in this run"),
        ("trainer.precision=bf16", r"trainer\.precision is fp32 in the checkpoint and bf16 in"),
    ],
)
def test_an_epoch_is_finished_with_its_own_batches(
    ran, tmp_path, monkeypatch, refuses, changed, message
) -> None:
    def interrupt(_: SaveCheckpoints, state: RunState) -> None:
        if (state.epoch, state.batch) == (1, 2):
            state.interrupt()

    small = ("trainer.train_limit=250", *SMALL[1:], "trainer.epochs=2")  # 4 batches either way
    with monkeypatch.context() as patch:
        patch.setattr(SaveCheckpoints, "on_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ran(*small, folder="part")
    folder = tmp_path / "part/checkpoints"
    with refuses(CheckpointError, message):
        ran(*small, changed, f"resume={folder}/last.pt", folder="rest")
    ran(*small, changed, f"resume={folder}/best.pt", folder="rest")  # that of epoch 1


def test_a_run_without_horizon_can_be_made_longer(ran, tmp_path, same) -> None:
    ran(*SMALL, "trainer.epochs=1", folder="first")
    ran(*SMALL, "trainer.epochs=2", f"resume={tmp_path}/first/checkpoints/last.pt", folder="more")
    ran(*SMALL, "trainer.epochs=2", folder="whole")
    more, whole = (
        read_checkpoint(tmp_path / f"{run}/checkpoints/last.pt") for run in ("more", "whole")
    )
    same(more, whole)


@pytest.mark.parametrize("before", ["true", "false"])
def test_a_run_may_resume_in_another_memory_format(ran, tmp_path, before) -> None:
    ran(*SMALL, "trainer.epochs=1", f"trainer.channels_last={before}", folder="first")
    resume = ("trainer.epochs=2", f"resume={tmp_path}/first/checkpoints/last.pt")
    weights = []
    for after in ("true", "false"):
        ran(*SMALL, *resume, f"trainer.channels_last={after}", folder=after)
        weights.append(read_checkpoint(tmp_path / after / "checkpoints/last.pt")["model"])
    torch.testing.assert_close(*weights, rtol=0, atol=1e-4)


def test_a_run_cannot_resume_from_a_checkpoint_with_more_epochs(ran, tmp_path, refuses) -> None:
    ran(*SMALL, "trainer.epochs=2", folder="first")
    resume = f"resume={tmp_path}/first/checkpoints/last.pt"
    with refuses(CheckpointError, r"^trainer\.epochs=1: \S+ has 2 epochs .* trainer\.epochs=2 or"):
        ran(*SMALL, "trainer.epochs=1", resume, folder="shorter")
    ran(*SMALL, "trainer.epochs=2", resume, folder="equal")


def test_a_run_cannot_resume_without_its_best_checkpoint(ran, tmp_path) -> None:
    overrides = [*SMALL, "optimizer.lr=0.5", "optimizer=sgd", "trainer.epochs=4"]
    ran(*overrides, folder="first")
    folder = tmp_path / "first/checkpoints"
    history = read_checkpoint(folder / "last.pt")["state"]["history"]
    assert max(history, key=lambda epoch: epoch["val/accuracy"]) is not history[-1]
    (folder / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=r"best\.pt is missing"):
        ran(*overrides, f"resume={folder}/last.pt", folder="second")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, {"format": FORMAT, "value": 1})
    with pytest.raises(AttributeError, match="local object"):
        write_checkpoint(path, {"format": FORMAT, "value": lambda: None})
    assert read_checkpoint(path)["value"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
def test_a_folder_without_the_wanted_checkpoint_names_the_other(tmp_path: Path, name: str) -> None:
    (tmp_path / "checkpoints").mkdir()
    other = tmp_path / "checkpoints" / name
    other.touch()
    with pytest.raises(CheckpointError, match=f"^No checkpoint at {tmp_path}: type {other}$"):
        read_checkpoint(tmp_path)
