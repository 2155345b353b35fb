"""Fine-tuning: frozen parts of a network, and learning rates that differ between its parts.

Parts are named by patterns; see `patterns`.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from sweeper.errors import ConfigError
from sweeper.training.callback import Callback
from sweeper.training.patterns import first_match, matches, part_names, require_match
from sweeper.training.settings import TrainerSettings
from sweeper.training.state import RunState

log = logging.getLogger(__name__)


def freeze(model: nn.Module, patterns: Collection[str]) -> None:
    """Set `requires_grad` to False for all parameters that match a pattern.

    Raises:
        ConfigError: a pattern matches nothing, or no trainable parameter remains.
    """
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for pattern in patterns:
        if not frozen_norms(model, [pattern]):  # a normalisation layer may have no parameters
            require_match(f"trainer.freeze=[{pattern}]", pattern, names)
    for parameter in frozen_parameters(model, patterns):
        parameter.requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"trainer.freeze=[{', '.join(patterns)}] leaves no parameter to train; the network's "
            f"parts are {part_names(model.state_dict())}"
        )


def frozen_parameters(model: nn.Module, patterns: Iterable[str]) -> list[nn.Parameter]:
    """Return the parameters that match a pattern; a shared one may match by any of its names."""
    named = model.named_parameters(remove_duplicate=False)
    return [parameter for name, parameter in named if matches(name, patterns)]


def frozen_norms(model: nn.Module, patterns: Iterable[str]) -> list[nn.Module]:
    """Return the normalisation layers whose running statistics are frozen.

    The statistics of a layer are frozen if all of its parameters match a pattern. A shared layer
    may match by any of its names.
    """
    norms = {
        norm: None  # a dict keeps the order and drops duplicates
        for name, norm in model.named_modules(remove_duplicate=False)
        if isinstance(norm, _NormBase)
        and norm.track_running_stats
        and all(matches(f"{name}.{tensor}", patterns) for tensor in _tensor_names(norm))
    }
    return list(norms)


def _tensor_names(norm: nn.Module) -> list[str]:
    """Return the names of the layer's parameters, or `running_mean` for a layer without any."""
    return [name for name, _ in norm.named_parameters()] or ["running_mean"]


def parameter_groups(
    model: nn.Module, lr_scale: Mapping[str, float], with_frozen: bool
) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups, each with its factor under `lr_scale`.

    Parameters that match no pattern of `lr_scale` come first, with a factor of 1. The groups of
    the patterns follow, in the order of the patterns. The first pattern that matches any name of a
    parameter decides. Frozen parameters form groups of their own, or are left out without
    `with_frozen`.

    Raises:
        ConfigError: a pattern matches no parameter, or only those that earlier patterns match.
    """
    groups: dict[tuple[str | None, bool], list[nn.Parameter]] = {
        (pattern, frozen): [] for pattern in (None, *lr_scale) for frozen in (False, True)
    }
    names_of = _names_by_parameter(model)
    for parameter, names in names_of.items():
        groups[first_match(names, lr_scale), not parameter.requires_grad].append(parameter)
    for pattern in lr_scale:
        if not groups[pattern, False] + groups[pattern, True]:
            names = [name for names in names_of.values() for name in names]
            require_match(f"trainer.lr_scale.{pattern}", pattern, names)
            raise ConfigError(
                f"trainer.lr_scale.{pattern} has no effect: earlier patterns name all of its "
                "parameters; put it before them"
            )
    return [
        {"params": parameters, "lr_scale": lr_scale.get(pattern or "", 1.0)}
        for (pattern, frozen), parameters in groups.items()
        if parameters and (with_frozen or not frozen)
    ]


def _names_by_parameter(model: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Return all the names of each parameter; a shared parameter has several."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return names


def scale_rates(optimizer: Optimizer) -> None:
    """Multiply the learning rate of each group by its `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_scale"]


def warn_of_unused_unfreeze_at(trainer: TrainerSettings) -> None:
    """Log a warning if `trainer.unfreeze_at` has no effect.

    This is no error, because a study may search `trainer.freeze` or `trainer.epochs`.
    """
    if trainer.unfreeze_at is None:
        return
    if not trainer.freeze:
        log.warning("trainer.unfreeze_at=%d: trainer.freeze names no part", trainer.unfreeze_at)
    elif trainer.unfreeze_at > trainer.epochs:
        log.warning(
            "trainer.unfreeze_at=%d is never reached: trainer.epochs=%d",
            trainer.unfreeze_at,
            trainer.epochs,
        )


class KeepFrozen(Callback):
    """Callback that keeps frozen running statistics unchanged, and unfreezes at `unfreeze_at`.

    The loop puts the whole network into training mode before each `on_epoch_start`, so frozen
    normalisation layers are put back into evaluation mode in every epoch.
    """

    def __init__(
        self, model: nn.Module, patterns: Collection[str], unfreeze_at: int | None
    ) -> None:
        self._model = model
        self._parameters = frozen_parameters(model, patterns)
        self._norms = frozen_norms(model, patterns)
        self._unfreeze_at = unfreeze_at

    def on_fit_start(self, state: RunState) -> None:
        count = sum(p.numel() for p in self._model.parameters())
        trainable = sum(p.numel() for p in self._model.parameters() if p.requires_grad)
        later = f", all of them from epoch {self._unfreeze_at} on" if self._unfreeze_at else ""
        log.info("%s of %s parameters are trained%s", f"{trainable:,}", f"{count:,}", later)

    def on_epoch_start(self, state: RunState) -> None:
        if self._unfreeze_at is not None and state.epoch + 1 >= self._unfreeze_at:
            for parameter in self._parameters:
                parameter.requires_grad_(True)
        else:
            for norm in self._norms:
                norm.eval()
