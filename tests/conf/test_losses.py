"""Every loss of the group, with its default arguments and with each reduction."""

import pytest

from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError

READERS = {"ctc"}  # of strings; see test_ctc.py
LOSSES = sorted({path.stem for path in (CONFIGS / "loss").glob("*.yaml")} - READERS)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_a_classifier(ran, caplog, loss) -> None:
    caplog.set_level("INFO")
    # An absolute error takes as long as the default run, the others a third of that.
    fast = () if loss == "l1" else ("trainer.epochs=8", "optimizer.lr=0.004")
    ran(f"loss={loss}", *fast)
    accuracy = next(line for line in caplog.text.splitlines() if line.startswith("test accuracy"))
    assert float(accuracy.split()[-1]) >= 0.93


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # torch, of kl_div
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_reduction_trains(ran, loss, reduction) -> None:
    small = ("trainer.train_limit=600", "trainer.epochs=6", "optimizer.lr=0.003")
    assert ran(f"loss={loss}", f"loss.reduction={reduction}", *small) > 0.5  # chance is 0.1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss=mse", "+loss.weight=balanced"], r"^loss\.weight: loss=mse takes no"),
        (["loss=bce", "+loss.pos_weight=balanced"], r"^loss\.pos_weight: loss=bce takes no"),
        (["loss=cross_entropy", "loss.reduction=batchmean"], r"^loss=cross_entropy .*batchmean"),
        (["loss=triplet_margin", "loss.embedding_size=0"], r"^loss\.embedding_size=0: expected"),
        (["loss=triplet_margin", "loss.margin=-1"], r"^loss=triplet_margin .*margin"),
        (["loss=triplet_margin", "data.batch_size=1"], r"type data\.batch_size=3 or more"),
        (["loss.adapter=os.path"], r"^loss\.adapter=os\.path is not a subclass"),
        (["metric=val/f1"], r"^metric=val/f1: data=digits is measured by .* metric=val/accuracy"),
    ],
)
def test_what_a_loss_cannot_take_is_one_clear_line(built, overrides, message, refuses) -> None:
    with refuses(ConfigError, message):
        built(*overrides)


@pytest.mark.parametrize("loss", ["triplet_margin", "cosine_embedding"])
def test_an_embedding_resumes_with_its_class_means(ran, tmp_path, loss) -> None:
    small = ("trainer.train_limit=200", "trainer.val_limit=50", f"loss={loss}")
    whole = ran(*small, "trainer.epochs=4", folder="whole")
    ran(*small, "trainer.epochs=2", folder="half")
    resume = f"resume={tmp_path}/half/checkpoints/last.pt"
    assert ran(*small, "trainer.epochs=4", resume, folder="rest") == whole
