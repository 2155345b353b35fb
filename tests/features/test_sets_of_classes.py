"""Runs on images with sets of classes: what they learn, draw and refuse."""

import math

import pytest
import torch

from sweeper.data.voc import Voc
from sweeper.errors import ConfigError
from sweeper.training.checkpoint import read_checkpoint

LOSSES = ("bce_with_logits", "bce", "soft_margin", "multilabel_soft_margin", "multilabel_margin")


@pytest.fixture
def voc(shapes) -> tuple[str, ...]:
    """Overrides for the shapes, small."""
    return ("data=voc", f"data.root={shapes}", "data.image_size=32", "trainer.epochs=1")


def chance(shapes) -> float:
    """Return the mean average precision of a random ranking: the share of images with a class."""
    labels, _ = Voc(str(shapes), 2012, False, False, 0.1).files()["val"].labels()
    return float(labels.mean())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_to_rank_images(ran, shapes, voc, loss) -> None:
    learned = ran(*voc, f"loss={loss}", "trainer.epochs=5", "data.batch_size=16")
    assert chance(shapes) == pytest.approx(0.43, abs=0.01)
    assert learned > 0.7


@pytest.mark.parametrize(
    "weights", [("loss.weight=balanced",), ("loss.pos_weight=balanced", "loss.weight=balanced")]
)
def test_balanced_weights_are_those_of_the_training_images(built, voc, weights) -> None:
    experiment = built(*voc, "loss=bce_with_logits", *weights)
    counts, n = (
        torch.tensor(experiment.data.profile.class_counts).double(),
        experiment.data.sizes["train"],
    )
    criterion = experiment.adapter.criterion
    expected = counts.sum() / (3 * counts)
    assert criterion.weight.tolist() == pytest.approx(expected.tolist())
    if len(weights) > 1:
        assert criterion.pos_weight.tolist() == pytest.approx(((n - counts) / counts).tolist())
    images, labels = next(experiment.data.train(1))
    assert math.isfinite(experiment.adapter(experiment.model(images), labels).item())


def test_a_margins_threshold_is_kept_with_the_network(ran, voc, tmp_path) -> None:
    ran(*voc, "loss=multilabel_margin")
    learned = read_checkpoint(tmp_path / "run/checkpoints/best.pt")["criterion"]["threshold"]
    assert learned.isfinite()
    assert learned != 0


def test_precision_by_class_is_drawn_in_place_of_a_confusion_matrix(ran, voc, tmp_path) -> None:
    ran(*voc, "loss=bce_with_logits", "figures=true")
    drawn = {path.stem for path in (tmp_path / "run/figures").iterdir()}
    assert drawn == {"learning_curves", "average_precision", "training_batch", "worst_mistakes"}


def test_mistakes_say_what_was_missed_and_what_was_added(built, voc) -> None:
    data = built(*voc, "loss=bce").data.profile
    labels, predicted = torch.tensor([1, 1, 0]), torch.tensor([1, 0, 1])
    assert data.label_text(labels) == "circle, square"
    assert data.mistake_text(labels, predicted) == "missed square\nadded triangle"
    assert data.mistake_text(labels, labels * 0) == "missed circle, square"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["loss=cross_entropy"],
            r"^loss=cross_entropy learns from one class .*loss=bce_with_logits",
        ),
        (["loss=triplet_margin"], r"^loss=triplet_margin learns from one class .*; or data=digits"),
        (["loss=bce", "metric=val/accuracy"], r"^metric=val/accuracy: .* metric=val/mean_average"),
        (["loss=bce", "data.year=2013"], r"^data\.year=2013: expected 2007"),
        (["loss=bce", "data.test_fraction=1"], r"^data\.test_fraction=1: expected"),
        (["loss=bce", "loss.weight=[1,2]"], r"2 numbers, but the data has 3 classes"),
        (["loss=multilabel_margin", "+loss.weight=balanced"], r"takes no class weights; type loss"),
    ],
)
def test_what_does_not_go_with_sets_is_one_line(built, voc, overrides, message, refuses) -> None:
    with refuses(ConfigError, message):
        built(*voc, *overrides)


def test_the_study_of_such_data_maximises_its_own_metric(composed) -> None:
    cfg = composed("data=voc", hydra=True)
    assert cfg.metric == "val/mean_average_precision"
    assert cfg.hydra.sweeper.direction == "maximize"
