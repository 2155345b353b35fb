"""Deep copies of configs, made by pickling them.

`copy.deepcopy` visits each node of a config in Python, which takes 5 ms for the `hydra` node alone.
Pickling takes a third of that. A config that was pickled once is then copied in 0.7 ms.
"""

import copy
import pickle
from typing import cast

from omegaconf import DictConfig


class Template:
    """A config to make copies of. Later changes of the config do not reach the copies."""

    def __init__(self, config: DictConfig) -> None:
        self._pickled = _pickled(config)
        self._config = copy.deepcopy(config) if self._pickled is None else None

    def copy(self) -> DictConfig:
        """Return a new copy."""
        if self._pickled is None:
            return copy.deepcopy(cast(DictConfig, self._config))
        return cast(DictConfig, pickle.loads(self._pickled))


def deep_copy(config: DictConfig) -> DictConfig:
    """Return a deep copy of a config; as with `copy.deepcopy`, it has the same parent."""
    pickled = _pickled(config)
    if pickled is None:
        return DictConfig.__deepcopy__(config, {})
    copied = cast(DictConfig, pickle.loads(pickled))
    copied.__dict__["_parent"] = config.__dict__["_parent"]
    return copied


def _pickled(config: DictConfig) -> bytes | None:
    """Return a config without its parent as bytes, or None if it holds what cannot be pickled."""
    parent = config.__dict__["_parent"]
    config.__dict__["_parent"] = None
    try:
        return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)
    except Exception:  # the class of an object in the config may raise anything
        return None
    finally:
        config.__dict__["_parent"] = parent
