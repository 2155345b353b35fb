"""Averaged weights beside an adapter that learns from the training outputs."""

from pathlib import Path

import pytest

from sweeper.training.checkpoint import read_checkpoint

SMALL = ("trainer.train_limit=200", "trainer.val_limit=50", "model.channels=[4,8]")
LOSSES = {
    "train/accuracy": ("loss=triplet_margin",),
    "train/f1": ("data=voc", "data.root={shapes}", "data.image_size=16", "loss=multilabel_margin"),
}


@pytest.mark.parametrize("measure", LOSSES)
def test_an_average_does_not_change_how_the_trained_network_is_measured(
    ran, tmp_path: Path, shapes, measure: str
) -> None:
    loss = [override.format(shapes=shapes) for override in LOSSES[measure]]
    curves = []
    for decay in ("null", "0.999"):
        ran(*SMALL, *loss, "trainer.epochs=3", f"trainer.ema_decay={decay}", folder=decay)
        content = read_checkpoint(tmp_path / decay / "checkpoints/last.pt")
        curves.append([epoch[measure] for epoch in content["state"]["history"]])
    assert curves[0] == curves[1]
