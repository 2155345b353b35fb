"""The chosen loss: torch's own criterion, and the adapter between it, outputs and labels."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sweeper.data.profile import Profile
from sweeper.errors import ConfigError
from sweeper.losses import Adapter, class_weights
from sweeper.losses.class_weights import Weight, positive_weights
from sweeper.objectives import LabelType
from sweeper.build.option import Option, taken
from sweeper.schema import LOSS_RANGES, checked
from sweeper.text import in_one_line

LABELS: dict[LabelType, str] = {
    "multiclass": "one class an image",
    "multilabel": "a set of classes an image",
    "sequence": "a string of classes an image",
}
FITTING_LOSSES: dict[LabelType, str] = {
    "multiclass": "cross_entropy",
    "multilabel": "bce_with_logits, multilabel_soft_margin or multilabel_margin",
    "sequence": "ctc model=crnn",
}
FITTING_DATA: dict[LabelType, str] = {
    "multiclass": "digits",
    "multilabel": "voc",
    "sequence": "digit_strings",
}


OutputShape = tuple[int, ...]
"""That of the outputs for one image: (1, K), or (1, T, K) for strings."""


@dataclass(frozen=True)
class LossKeys:
    """What a loss option says beside the arguments of its target and of its adapter."""

    adapter: str = "sweeper.losses.ClassIndex"
    weight: Weight = None
    pos_weight: Weight = None


class LossOption:
    """The option of the group `loss`, checked but not yet built.

    Raises:
        ConfigError: the adapter is none, or an argument suits neither criterion nor adapter.
    """

    def __init__(self, name: str, node: dict[str, Any]) -> None:
        self._keys = taken("loss", LossKeys, node)
        self._adapter = _adapter(self._keys.adapter)
        own = inspect.signature(self._adapter).parameters.keys() & node.keys()
        arguments = {key: node.pop(key) for key in own}
        self._arguments = checked("loss", self._adapter, arguments)
        self._criterion = Option.of_node("loss", name, node, LOSS_RANGES)

    @property
    def name(self) -> str:
        """The name of the option."""
        return self._criterion.name

    def require(self, label_type: LabelType, data: str) -> None:
        """Raise ConfigError, with what would fit, for a loss that is not for such labels."""
        takes = self._adapter.label_types
        if label_type in takes:
            return
        other = " or ".join(f"data={FITTING_DATA[one]}" for one in sorted(takes))
        raise ConfigError(
            f"loss={self.name} learns from {' or '.join(LABELS[one] for one in sorted(takes))}, "
            f"and data={data} has {LABELS[label_type]}: "
            f"type loss={FITTING_LOSSES[label_type]}; or {other}"
        )

    def unweighted(self, n_classes: int, label_type: LabelType) -> Adapter:
        """Return the adapter for so many classes, its criterion without class weights."""
        return self._adapter(self._criterion(), n_classes, label_type, **self._arguments)

    def build(self, profile: Profile) -> Adapter:
        """Return the adapter for the classes of the data.

        Raises:
            ConfigError: class weights do not fit the classes, or the criterion takes none.
        """
        counts = torch.tensor(profile.class_counts)
        given = {
            "weight": class_weights(self._keys.weight, counts),
            "pos_weight": positive_weights(self._keys.pos_weight, counts, profile.n_train),
        }
        weights: dict[str, Tensor] = {}
        for key, value in given.items():
            if value is None:
                continue
            if not self._criterion.accepts(key):
                raise ConfigError(f"loss.{key}: loss={self.name} takes none; type loss.{key}=null")
            weights[key] = value
        criterion: nn.Module = self._criterion(**weights)
        return self._adapter(criterion, len(profile.classes), profile.label_type, **self._arguments)

    def require_readable(self, adapter: Adapter, outputs: object, model: str) -> OutputShape:
        """Return the shape of a network's outputs for one image.

        Raises:
            ConfigError: the loss cannot be computed of outputs of this shape.
        """
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        if isinstance(shape, str) or not adapter.reads(shape):
            raise ConfigError(
                f"model={model} returns {shape} for one image, but loss={self.name} needs "
                f"{adapter.output_shape}"
            )
        return shape

    def try_out(
        self, adapter: Adapter, shape: OutputShape, profile: Profile, batch_size: int, model: str
    ) -> None:
        """Compute the loss of four made-up images: torch checks some arguments only then.

        `shape` is that of the network's outputs for one image.

        Raises:
            ConfigError: the batches or the outputs are too small to learn from, or the criterion
                refuses an argument.
        """
        if batch_size < adapter.least_batch:
            raise ConfigError(
                f"loss={self.name} learns from {adapter.least_batch} images or more at a time: "
                f"type data.batch_size={adapter.least_batch} or more"
            )
        if lack := adapter.shortage(shape, profile.label_shape):
            raise ConfigError(f"model={model} with loss={self.name}: {lack}")
        blank = torch.zeros(4, *shape[1:])
        labels = torch.zeros(4, *profile.label_shape, dtype=torch.int64)
        labels[2:] = min(1, len(profile.classes) - 1)
        try:
            adapter(blank, labels)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(f"{self._criterion}: {in_one_line(error)}") from error


def _adapter(path: str) -> type[Adapter]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"loss.adapter={path}: there is no such class") from error
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        raise ConfigError(f"loss.adapter={path} is no subclass of sweeper.losses.Adapter")
    return found
