"""Weights of one network into another whose head, or input, may differ."""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError

log = logging.getLogger(__name__)


@torch.no_grad()
def copy_fitting(model: nn.Module, entries: Mapping[str, Tensor], path: str) -> None:
    """Copy every entry of a state dict that fits the model by name and shape.

    The filters of the first convolution are adapted to its input channels. Whatever else does
    not fit, such as the head of other classes, is left out and named in the log. A model on the
    meta device is checked only. `path` is where the entries come from. Raises ConfigError when
    none of them fits, or one that does is not finite.
    """
    own = model.state_dict()
    entries = _unwrapped(entries, own)
    filters = _first_filters(model)
    if filters in entries and filters in own:
        entries[filters] = _with_channels(entries[filters], own[filters].shape[1])
    fitting = [name for name in entries if name in own and entries[name].shape == own[name].shape]
    # A bias or a counter may fit by chance; filters and matrices do not.
    if not any(entries[name].ndim > 1 for name in fitting):
        raise ConfigError(
            f"init.weights={path} has no weights that fit the model; type a file of this very "
            "model, or init.weights=null"
        )
    _require_finite(model, {name: entries[name] for name in fitting}, path)
    if any(entry.is_meta for entry in own.values()):
        return
    for name in fitting:
        own[name].copy_(entries[name])
    log.info(_report(path, fitting, entries, own))


def _require_finite(model: nn.Module, entries: Mapping[str, Tensor], path: str) -> None:
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, entry in entries.items():
        # A buffer may be infinite on purpose, as the mask of an attention is.
        odd = ~entry.isfinite() if name in learned else entry.isnan()
        if odd.any():
            raise ConfigError(
                f"init.weights={path}: {name} holds {entry[odd][0].item()}, as a run that diverged "
                "leaves it; type an earlier checkpoint, or init.weights=null"
            )


def _unwrapped(entries: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries without what `torch.compile` and the parallel wrappers add to their names."""
    plain = {name.replace("_orig_mod.", ""): entry for name, entry in entries.items()}
    if plain.keys() & own.keys():
        return plain
    return {name.removeprefix("module."): entry for name, entry in plain.items()}


def _first_filters(model: nn.Module) -> str | None:
    """The name of the first convolution's filters; None in a network without any."""
    convolutions = (n for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    return next((f"{name}.weight".lstrip(".") for name in convolutions), None)


def _with_channels(filters: Tensor, channels: int) -> Tensor:
    """Filters (out, in, h, w) as (out, channels, h, w) that answer a grey image as before."""
    if filters.ndim != 4 or filters.shape[1] == channels:
        return filters
    return filters.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _report(
    path: str, fitting: list[str], entries: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> str:
    left_out = [name for name in entries if name not in fitting]
    fresh = [name for name in own if name not in fitting]
    return (
        f"init.weights={path}: {len(fitting)} of {len(own)} entries loaded; left out of the "
        f"file: {', '.join(left_out) or 'none'}; not in it: {', '.join(fresh) or 'none'}"
    )
