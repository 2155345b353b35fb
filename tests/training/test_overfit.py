"""The check that a network can learn a few images by heart, and what it switches off."""

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from sweeper.errors import TrainingError
from sweeper.inspect import composed as composed_alone
from sweeper.training.overfit import LearnByHeart, remove_regularisation
from sweeper.training.state import RunState

FEW = ("trainer=overfit", "trainer.train_limit=32", "trainer.val_limit=16", "trainer.test_limit=9")


def test_the_run_ends_when_the_network_knows_its_images(ran, caplog) -> None:
    caplog.set_level("INFO")
    regularised = ["model.dropout=0.9", "model.hidden=[64]", "optimizer.weight_decay=9",
                   "loss.label_smoothing=1", "stopping=patience", "stopping.patience=1",
                   ]  # fmt: skip
    noise = "data.train_transform=[{_target_: torchvision.transforms.v2.RandomErasing, p: 1}]"
    ran(*FEW, *regularised, noise)
    assert "stopped       the network knows its 32 training images by heart" in caplog.text


def test_a_network_that_does_not_learn_its_images_fails_with_one_line(ran, refuses) -> None:
    with refuses(
        TrainingError,
        r"^the network did not learn its 32 training images by heart: the best train/accuracy of "
        r"2 epochs is 0\.\d{4}; try another optimizer\.lr",
    ):
        ran(*FEW, "optimizer.lr=1e-9", "trainer.epochs=2")


def test_an_interrupted_check_does_not_fail(built) -> None:
    state = RunState(epochs=3, steps_per_epoch=1, metric="val/loss", direction="minimize")
    check = LearnByHeart(built(*FEW))
    check.on_fit_end(state)  # interrupted within the first epoch
    state.record({"train/accuracy": 0.5, "val/loss": 1.0})
    check.on_epoch_end(state)
    check.on_fit_end(state)
    assert state.stop_reason is None


def test_every_kind_of_regularisation_is_switched_off() -> None:
    model = nn.ModuleList([
        nn.Dropout(0.5), nn.Dropout2d(0.5), StochasticDepth(0.5, "row"),
        nn.LSTM(2, 2, num_layers=2, dropout=0.5), nn.MultiheadAttention(2, 1, dropout=0.5),
    ])  # fmt: skip
    criterion = nn.CrossEntropyLoss(label_smoothing=0.5)
    optimizer = torch.optim.SGD(
        [{"params": model[3].parameters(), "weight_decay": 2}, {"params": model[4].parameters()}],
        lr=1, weight_decay=1,
    )  # fmt: skip
    remove_regularisation(model, optimizer, criterion)
    assert [module.p for module in model[:3]] == [0, 0, 0]
    assert [module.dropout for module in model[3:]] == [0, 0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0, 0]
    assert criterion.label_smoothing == 0


def test_debug_trains_one_batch_of_each_split_and_finds_the_operation_of_a_nan(built) -> None:
    experiment = built("trainer=debug", "data.batch_size=32")
    assert experiment.data.sizes == {"train": 32, "val": 32, "test": 32}
    assert experiment.data.steps_per_epoch == experiment.trainer.epochs == 1
    zero = torch.zeros(1, requires_grad=True)
    with (
        pytest.warns(UserWarning, match="Error detected in SqrtBackward0"),
        pytest.raises(RuntimeError, match="SqrtBackward0. returned nan"),
    ):
        (zero.sqrt() * zero).sum().backward()
    built("trainer=quick")
    assert not torch.is_anomaly_enabled()


@pytest.mark.parametrize(
    ("overrides", "figures"),
    [(["trainer=debug"], False), (["trainer=overfit"], False), (["trainer=quick"], "auto"),
     (["trainer=debug", "figures=true"], True)],
)  # fmt: skip
def test_a_check_draws_no_figures_unless_it_is_told_to(overrides, figures) -> None:
    assert composed_alone(overrides).figures == figures
