"""A check of a network: can it learn a few training images by heart?"""

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from sweeper.errors import TrainingError
from sweeper.objectives import headline
from sweeper.text import plural
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.state import RunState

ALL = 1 - 1e-6
"""The least value of an accuracy or mean precision that counts as 1; it may have been rounded."""


def remove_regularisation(model: nn.Module, optimizer: Optimizer, criterion: nn.Module) -> None:
    """Switch off dropout, weight decay and label smoothing."""
    for module in model.modules():
        if (rate := _rate_of(module)) is not None:
            setattr(module, rate, 0.0)
    for group in optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    if hasattr(criterion, "label_smoothing"):
        criterion.label_smoothing = 0.0  # type: ignore[assignment]


def _rate_of(module: nn.Module) -> str | None:
    """Return the attribute with the rate at which a module drops values, or None."""
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return "dropout"
    # torchvision's StochasticDepth leaves out whole branches; its import takes seconds.
    is_dropout = isinstance(module, _DropoutNd) or type(module).__name__ == "StochasticDepth"
    return "p" if is_dropout else None


class LearnByHeart(Callback):
    """Callback that ends the run when the network has learnt all training images by heart.

    Its measure is the headline of the data's labels, such as `train/accuracy`.

    Raises:
        TrainingError: at the end of the run the network has not.
    """

    def __init__(self, experiment: Experiment) -> None:
        profile = experiment.data.profile
        self._metric = headline(profile.label_type).replace("val/", "train/")
        self._images = plural(profile.n_train, "training image")

    def on_epoch_end(self, state: RunState) -> None:
        if state.history[-1][self._metric] >= ALL:
            state.stop(f"the network knows its {self._images} by heart")

    def on_fit_end(self, state: RunState) -> None:
        values = [metrics[self._metric] for metrics in state.history]
        if state.epoch < state.epochs or max(values) >= ALL:
            return
        raise TrainingError(
            f"the network did not learn its {self._images} by heart: the best {self._metric} of "
            f"{plural(state.epochs, 'epoch')} is {max(values):.4f}; try another optimizer.lr, more "
            "trainer.epochs or a larger network, and look for wrong labels and a fault in the code"
        )
