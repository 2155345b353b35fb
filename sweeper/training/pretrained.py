"""Weights to start from: those of a finished run, or a bare state dict."""

from pathlib import Path

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
        ConfigError: the file is missing, or holds something else.
    """
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise ConfigError(f"init.weights={path} cannot be read ({reason}); {EXPECTED}") from None
    except Exception:  # what the unpickler raises depends on what the file holds
        raise _no_weights(path) from None
    if isinstance(content, dict) and content.get("format") == FORMAT:
        content = kept_weights(content)
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise _no_weights(path)
    return dict(content)


def _no_weights(path: str) -> ConfigError:
    return ConfigError(f"init.weights={path} holds no weights, or is damaged; {EXPECTED}")
