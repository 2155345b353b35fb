"""Training a part of a network, or its parts at different rates; see `patterns` for the names."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from sweeper.errors import ConfigError
from sweeper.training.callback import Callback
from sweeper.training.patterns import first_match, matches, parts, require_found
from sweeper.training.settings import TrainerSettings
from sweeper.training.state import RunState

log = logging.getLogger(__name__)


def freeze(model: nn.Module, patterns: Collection[str]) -> None:
    """Keep the parameters that the patterns name from learning.

    Raises:
        ConfigError: a pattern names nothing that can be frozen, or nothing is left to learn.
    """
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for pattern in patterns:
        if not frozen_norms(model, [pattern]):  # a norm may have no parameters
            require_found(f"trainer.freeze=[{pattern}]", pattern, names)
    for parameter in frozen_parameters(model, patterns):
        parameter.requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"trainer.freeze=[{', '.join(patterns)}] leaves nothing to learn; the network's parts "
            f"are {parts(model.state_dict())}"
        )


def frozen_parameters(model: nn.Module, patterns: Iterable[str]) -> list[nn.Parameter]:
    """Return the parameters that the patterns name; a shared one by any of its names."""
    named = model.named_parameters(remove_duplicate=False)
    return [parameter for name, parameter in named if matches(name, patterns)]


def frozen_norms(model: nn.Module, patterns: Iterable[str]) -> list[nn.Module]:
    """Return the norms whose running statistics are frozen.

    They are those that a pattern names, or that lie in a module which it names, or of which it
    names every parameter; a shared one by any of its names.
    """
    norms = {
        norm: None  # each once
        for name, norm in model.named_modules(remove_duplicate=False)
        if isinstance(norm, _NormBase)
        and norm.track_running_stats
        and all(matches(f"{name}.{own}", patterns) for own in _own_names(norm))
    }
    return list(norms)


def _own_names(norm: nn.Module) -> list[str]:
    """The names of a norm's parameters, or of its statistics where it learns nothing."""
    return [name for name, _ in norm.named_parameters()] or ["running_mean"]


def parameter_groups(
    model: nn.Module, lr_scale: Mapping[str, float], with_frozen: bool
) -> list[dict[str, Any]]:
    """Return an optimizer's groups: one a pattern of `lr_scale`, after the one without a pattern.

    Frozen parameters are left out, or are groups of their own. A shared parameter goes by any of
    its names. Each group keeps its factor as `lr_scale`; see `scale_rates`.

    Raises:
        ConfigError: a pattern names nothing, or only what patterns before it name.
    """
    groups: dict[tuple[str | None, bool], list[nn.Parameter]] = {
        (pattern, frozen): [] for pattern in (None, *lr_scale) for frozen in (False, True)
    }
    names_of = _names(model)
    for parameter, names in names_of.items():
        groups[first_match(names, lr_scale), not parameter.requires_grad].append(parameter)
    for pattern in lr_scale:
        if not groups[pattern, False] + groups[pattern, True]:
            names = [name for names in names_of.values() for name in names]
            require_found(f"trainer.lr_scale.{pattern}", pattern, names)
            raise ConfigError(
                f"trainer.lr_scale.{pattern} comes after patterns that name all of the same "
                "parameters; put it before them"
            )
    return [
        {"params": parameters, "lr_scale": lr_scale.get(pattern or "", 1.0)}
        for (pattern, frozen), parameters in groups.items()
        if parameters and (with_frozen or not frozen)
    ]


def _names(model: nn.Module) -> dict[nn.Parameter, list[str]]:
    """All the names of each parameter."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return names


def scale_rates(optimizer: Optimizer) -> list[float]:
    """Multiply the learning rate of each group by its `lr_scale`, and return the products."""
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_scale"]
    return [float(group["lr"]) for group in optimizer.param_groups]


def warn_of_idle_unfreezing(trainer: TrainerSettings) -> None:
    """Log a warning where `unfreeze_at` changes nothing, as it may well in one trial of many."""
    if trainer.unfreeze_at is None:
        return
    if not trainer.freeze:
        log.warning("trainer.unfreeze_at=%d: trainer.freeze names no part", trainer.unfreeze_at)
    elif trainer.unfreeze_at > trainer.epochs:
        told = (trainer.unfreeze_at, trainer.epochs)
        log.warning("trainer.unfreeze_at=%d is never reached: trainer.epochs=%d", *told)


class KeepFrozen(Callback):
    """Keeps the statistics of frozen norms as they are, until the epoch when all may learn.

    The loop has put the whole network into training mode before `on_epoch_start`.
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
        learning = sum(p.numel() for p in self._model.parameters() if p.requires_grad)
        later = f", all of them from epoch {self._unfreeze_at} on" if self._unfreeze_at else ""
        log.info("%s of %s parameters are trained%s", f"{learning:,}", f"{count:,}", later)

    def on_epoch_start(self, state: RunState) -> None:
        if self._unfreeze_at is not None and state.epoch + 1 >= self._unfreeze_at:
            for parameter in self._parameters:
                parameter.requires_grad_(True)
        else:
            for norm in self._norms:
                norm.eval()
