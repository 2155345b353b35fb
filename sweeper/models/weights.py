"""Weights from a local file into a model whose head or input may differ."""

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError

log = logging.getLogger(__name__)


@torch.no_grad()
def load_weights(model: nn.Module, path: str, first_convolution: str) -> None:
    """Copy every entry of the state dict at `path` that fits the model by name and shape.

    The filters of the first convolution are adapted to its input channels. Whatever else does
    not fit, such as the head of other classes, is left out and named in the log. Raises
    ConfigError for a file that is missing, no state dict, or fits nowhere.
    """
    entries = _read(path)
    own = model.state_dict()
    filters = f"{first_convolution}.weight"
    if filters in entries and filters in own:
        entries[filters] = _with_channels(entries[filters], own[filters].shape[1])
    fitting = [name for name in entries if name in own and entries[name].shape == own[name].shape]
    # A bias or a counter may fit by chance; filters and matrices do not.
    if not any(entries[name].ndim > 1 for name in fitting):
        raise ConfigError(
            f"model.weights={path} has no weights that fit the model; type the file of this very "
            "model, or model.weights=null"
        )
    for name in fitting:
        own[name].copy_(entries[name])
    log.info(_report(path, fitting, entries, own))


def _read(path: str) -> dict[str, Tensor]:
    try:
        entries = torch.load(Path(path), map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(
            f"model.weights={path} cannot be read ({error.strerror}); type the path of a local "
            "state dict, or model.weights=null"
        ) from error
    except Exception as error:  # what the unpickler raises depends on what the file holds
        raise _no_state_dict(path) from error
    if not isinstance(entries, dict) or not all(isinstance(v, Tensor) for v in entries.values()):
        raise _no_state_dict(path)
    return dict(entries)


def _no_state_dict(path: str) -> ConfigError:
    return ConfigError(
        f"model.weights={path} is no state dict of tensors; type a file written by "
        "torch.save(model.state_dict(), path)"
    )


def _with_channels(filters: Tensor, channels: int) -> Tensor:
    """Filters (out, in, h, w) as (out, channels, h, w) that answer a grey image as before."""
    if filters.ndim != 4 or filters.shape[1] == channels:
        return filters
    return filters.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _report(
    path: str, fitting: list[str], entries: dict[str, Tensor], own: dict[str, Tensor]
) -> str:
    left_out = [name for name in entries if name not in fitting]
    fresh = [name for name in own if name not in fitting]
    return (
        f"model.weights={path}: {len(fitting)} of {len(own)} entries loaded; left out of the "
        f"file: {', '.join(left_out) or 'none'}; not in it: {', '.join(fresh) or 'none'}"
    )
