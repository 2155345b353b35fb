"""The weights that `init.weights` names: a run's checkpoint or a plain state dict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweeper.errors import ConfigError
from sweeper.training.checkpoint import FORMAT, checkpoint_in, eval_weights
from sweeper.training.checkpoint_file import read_checked

HINT = "type a run's checkpoints/best.pt, or a file written by torch.save(model.state_dict(), path)"


def read_weights(path: str) -> dict[str, Tensor]:
    """Return the state dict in a file, with all tensors on the CPU.

    For a checkpoint of a run this is the evaluated network: the averaged one if there is one.

    Raises:
        ConfigError: the file is missing or holds no state dict, or a tensor cannot be copied.
    """
    try:
        content = read_checked(checkpoint_in(Path(path), "best.pt"))
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise ConfigError(f"init.weights={path} cannot be read ({reason}); {HINT}") from None
    except Exception:  # the unpickler's errors have many types
        raise _no_weights(path) from None
    weights = _state_dict(content)
    if weights is None:
        raise _no_weights(path)
    for name, tensor in weights.items():
        if (kind := _uncopyable_kind(tensor)) is not None:
            raise ConfigError(f"init.weights={path}: {name} is {kind}; {HINT}")
    return weights


def _state_dict(content: Any) -> dict[str, Tensor] | None:
    """Return the state dict in a file's content, or None if there is none."""
    if isinstance(content, dict) and _is_checkpoint(content):
        try:
            content = eval_weights(content)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
    if not isinstance(content, dict):
        return None
    valid = all(isinstance(n, str) and isinstance(t, Tensor) for n, t in content.items())
    return dict(content) if valid else None


def _is_checkpoint(content: Mapping[Any, Any]) -> bool:
    number = content.get("format")  # in a state dict, a parameter may have this name
    return isinstance(number, int) and number == FORMAT


def _uncopyable_kind(tensor: Tensor) -> str | None:
    """Return why the tensor cannot be copied into a network's weights, or None if it can."""
    kinds = {
        "without values (on the meta device)": tensor.is_meta,
        "sparse": tensor.layout is not torch.strided,
        "quantized": tensor.is_quantized,
        "complex": tensor.is_complex(),
    }
    return next((kind for kind, applies in kinds.items() if applies), None)


def _no_weights(path: str) -> ConfigError:
    return ConfigError(f"init.weights={path} holds no weights, or is damaged; {HINT}")
