"""Weights of a checkpoint, copied into a network whose head or input may differ."""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError

log = logging.getLogger(__name__)


@torch.no_grad()
def copy_matching_weights(model: nn.Module, entries: Mapping[str, Tensor], path: str) -> None:
    """Copy every entry of a state dict that has the name and the shape of one in the model.

    The filters of the first convolution are adapted to the model's input channels. Other entries
    that do not match, such as those of a head for other classes, are skipped and named in the
    log. Nothing is copied into a model on the meta device. `path` is the file of the entries.

    Raises:
        ConfigError: no entry matches, or a matching entry is not finite.
    """
    own = model.state_dict()
    entries = _unwrapped(entries, own)
    filters = _first_filters(model)
    if filters in entries and filters in own:
        entries[filters] = _with_channels(entries[filters], own[filters].shape[1])
    matching = [name for name in entries if name in own and entries[name].shape == own[name].shape]
    # A bias or a counter may match by chance; filters and matrices do not.
    if not any(entries[name].ndim > 1 for name in matching):
        raise ConfigError(
            f"init.weights={path} has no weights that fit the model; type a checkpoint of "
            "the same model, or init.weights=null"
        )
    _require_finite(model, {name: entries[name] for name in matching}, path)
    if any(entry.is_meta for entry in own.values()):
        return
    for name in matching:
        own[name].copy_(entries[name])
    log.info(_report(path, matching, entries, own))


def _require_finite(model: nn.Module, entries: Mapping[str, Tensor], path: str) -> None:
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, entry in entries.items():
        # A buffer may be infinite on purpose, such as the mask of an attention.
        invalid = ~entry.isfinite() if name in learned else entry.isnan()
        if invalid.any():
            raise ConfigError(
                f"init.weights={path}: {name} holds {entry[invalid][0].item()}, so its training "
                "probably diverged; type an earlier checkpoint, or init.weights=null"
            )


def _unwrapped(entries: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries without the prefixes of `torch.compile` and of parallel wrappers."""
    plain = {name.replace("_orig_mod.", ""): entry for name, entry in entries.items()}
    if plain.keys() & own.keys():
        return plain
    return {name.removeprefix("module."): entry for name, entry in plain.items()}


def _first_filters(model: nn.Module) -> str | None:
    """Return the name of the first convolution's filters; None if there is no convolution."""
    convolutions = (n for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    return next((f"{name}.weight".lstrip(".") for name in convolutions), None)


def _with_channels(filters: Tensor, channels: int) -> Tensor:
    """Return filters (out, in, h, w) as (out, channels, h, w).

    Their outputs for a grey image stay the same.
    """
    if filters.ndim != 4 or filters.shape[1] == channels:
        return filters
    return filters.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _report(
    path: str, matching: list[str], entries: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> str:
    skipped = [name for name in entries if name not in matching]
    missing = [name for name in own if name not in matching]
    return (
        f"init.weights={path}: {len(matching)} of {len(own)} entries loaded; "
        f"skipped entries of the file: {', '.join(skipped) or 'none'}; "
        f"entries of the model that keep their initial values: {', '.join(missing) or 'none'}"
    )
