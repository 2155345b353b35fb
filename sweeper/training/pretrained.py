"""Weights to start from: those of a finished run, or a bare state dict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweeper.errors import ConfigError
from sweeper.training.checkpoint import FORMAT, kept_weights

EXPECTED = (
    "type a run's checkpoints/best.pt, or a file written by torch.save(model.state_dict(), path)"
)


def read_weights(path: str) -> dict[str, Tensor]:
    """Return the state dict in a file, on the CPU.

    Of a checkpoint of a run it is the network that the run kept: the averaged one where weights
    were averaged.

    Raises:
        ConfigError: the file is missing, or holds something else, or tensors that are not plain.
    """
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise ConfigError(f"init.weights={path} cannot be read ({reason}); {EXPECTED}") from None
    except Exception:  # what the unpickler raises depends on what the file holds
        raise _no_weights(path) from None
    entries = _entries(content)
    if entries is None:
        raise _no_weights(path)
    for name, entry in entries.items():
        if (oddity := _oddity(entry)) is not None:
            raise ConfigError(f"init.weights={path}: {name} is {oddity}; {EXPECTED}")
    return entries


def _entries(content: Any) -> dict[str, Tensor] | None:
    """The state dict that a file's content is or keeps, or None."""
    if isinstance(content, dict) and _is_checkpoint(content):
        try:
            content = kept_weights(content)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
    if not isinstance(content, dict):
        return None
    fit = all(isinstance(n, str) and isinstance(e, Tensor) for n, e in content.items())
    return dict(content) if fit else None


def _is_checkpoint(content: Mapping[Any, Any]) -> bool:
    number = content.get("format")  # a network may have a parameter of this name
    return isinstance(number, int) and number == FORMAT


def _oddity(entry: Tensor) -> str | None:
    """What keeps a tensor from being copied into a network's weights."""
    kinds = {
        "without values (on the meta device)": entry.is_meta,
        "sparse": entry.layout is not torch.strided,
        "quantized": entry.is_quantized,
        "complex": entry.is_complex(),
    }
    return next((kind for kind, found in kinds.items() if found), None)


def _no_weights(path: str) -> ConfigError:
    return ConfigError(f"init.weights={path} holds no weights, or is damaged; {EXPECTED}")
