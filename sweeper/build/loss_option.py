"""The option of the group `loss`: torch's criterion, and the adapter that feeds it."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sweeper.build.option import Option, Trust, failure_reason, pop_keys, require_kind
from sweeper.data.profile import Profile
from sweeper.errors import ConfigError
from sweeper.losses import Adapter, class_weights
from sweeper.losses.class_weights import Weight, positive_weights
from sweeper.objectives import LabelType
from sweeper.schema import LOSS_RANGES, checked

LABELS: dict[LabelType, str] = {
    "multiclass": "one class per image",
    "multilabel": "a set of classes per image",
    "sequence": "a string of classes per image",
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
"""The shape of the outputs for one image: (1, K), or (1, T, K) for strings."""


class UnfittingLoss(ConfigError):
    """The loss cannot learn from labels of the data's type."""


@dataclass(frozen=True)
class LossKeys:
    """The keys of a loss option that are arguments of neither its target nor its adapter."""

    adapter: str = "sweeper.losses.ClassIndex"
    weight: Weight = None
    pos_weight: Weight = None


class LossOption:
    """The option of the group `loss`, checked but not yet built.

    Raises:
        ConfigError: `adapter` names no adapter, or an argument suits neither criterion nor adapter.
    """

    def __init__(self, name: str, node: dict[str, Any], trust: Trust) -> None:
        self._keys = pop_keys("loss", LossKeys, node)
        trust(self._keys.adapter)
        self._adapter_class = _adapter_class(self._keys.adapter)
        of_run, names = (
            inspect.signature(each).parameters.keys() for each in (Adapter, self._adapter_class)
        )
        arguments = {key: node.pop(key) for key in (names - of_run) & node.keys()}
        self._adapter_arguments = checked("loss", self._adapter_class, arguments)
        self._criterion_option = Option.of_node("loss", name, node, LOSS_RANGES, trust=trust)

    @property
    def name(self) -> str:
        """The name of the option."""
        return self._criterion_option.name

    @property
    def is_per_image(self) -> bool:
        """True if the other images of a batch do not change the loss of an image."""
        return self._adapter_class.is_per_image

    def require_label_type(self, label_type: LabelType, data: str) -> None:
        """Check that the loss can learn from labels of this type; `data` is the data option.

        Raises:
            ConfigError: it cannot; the message names losses and data that fit.
        """
        accepted = sorted(self._adapter_class.label_types)
        if label_type in accepted:
            return
        fitting_data = " or ".join(f"data={FITTING_DATA[each]}" for each in accepted)
        raise UnfittingLoss(
            f"loss={self.name} learns from {' or '.join(LABELS[each] for each in accepted)}, "
            f"and data={data} has {LABELS[label_type]}: "
            f"type loss={FITTING_LOSSES[label_type]}; or {fitting_data}"
        )

    def build_unweighted(self, n_classes: int, label_type: LabelType) -> Adapter:
        """Build the adapter for a number of classes, with a criterion without class weights."""
        criterion: nn.Module = self._criterion_option()
        require_kind(criterion, nn.Module, self._criterion_option)
        return self._adapter_class(criterion, n_classes, label_type, **self._adapter_arguments)

    def build(self, profile: Profile) -> Adapter:
        """Build the adapter for the classes of the data, with a criterion with class weights.

        Raises:
            ConfigError: the weights do not fit the classes, or the criterion accepts no weights.
        """
        counts = torch.tensor(profile.class_counts)
        weights: dict[str, Tensor | None] = {
            "weight": class_weights(self._keys.weight, counts),
            "pos_weight": positive_weights(self._keys.pos_weight, counts, profile.n_train),
        }
        arguments = {key: weight for key, weight in weights.items() if weight is not None}
        for key in arguments:
            if not self._criterion_option.accepts(key):
                raise ConfigError(
                    f"loss.{key}: loss={self.name} takes no class weights; type loss.{key}=null"
                )
        criterion: nn.Module = self._criterion_option(**arguments)
        require_kind(criterion, nn.Module, self._criterion_option)
        return self._adapter_class(
            criterion, len(profile.classes), profile.label_type, **self._adapter_arguments
        )

    def checked_output_shape(self, adapter: Adapter, outputs: object, model: str) -> OutputShape:
        """Return the shape of a network's outputs for one image; `model` is the model option.

        Raises:
            ConfigError: the loss cannot be computed from outputs of this shape.
        """
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        if isinstance(shape, str) or not adapter.accepts_outputs(shape):
            raise ConfigError(
                f"model={model} returns {shape} for one image, but loss={self.name} needs "
                f"{adapter.expected_outputs}"
            )
        return shape

    def require_computable(
        self, adapter: Adapter, shape: OutputShape, profile: Profile, batch_size: int, model: str
    ) -> None:
        """Compute the loss of four outputs of zeros, since torch checks some arguments only then.

        `shape` is the shape of the network's outputs for one image.

        Raises:
            ConfigError: the batches or the outputs are too small to learn from, or the criterion
                refuses an argument.
        """
        if batch_size < adapter.min_batch_size:
            raise ConfigError(
                f"loss={self.name} learns from {adapter.min_batch_size} images or more at a time: "
                f"type data.batch_size={adapter.min_batch_size} or more"
            )
        if shortage := adapter.shortage(shape, profile.label_shape):
            raise ConfigError(f"model={model} with loss={self.name}: {shortage}")
        outputs = torch.zeros(4, *shape[1:])
        labels = torch.zeros(4, *profile.label_shape, dtype=torch.int64)
        labels[2:] = min(1, len(profile.classes) - 1)
        try:
            adapter(outputs, labels)
        except Exception as error:  # the criterion may be anyone's
            raise ConfigError(f"{self._criterion_option}: {failure_reason(error)}") from error


def _adapter_class(path: str) -> type[Adapter]:
    module, _, name = path.rpartition(".")
    try:
        target = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"loss.adapter={path}: there is no such class") from error
    if not (inspect.isclass(target) and issubclass(target, Adapter)):
        raise ConfigError(f"loss.adapter={path} is not a subclass of sweeper.losses.Adapter")
    return target
