"""What the config in a checkpoint may call.

A config says which classes are called. In one's own config that is the point of it; a checkpoint
may come from anyone, so of its config only what sweeper ships is called, torchvision's
transforms, and what the user says is theirs.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.configs import CONFIGS
from sweeper.errors import CheckpointError, ConfigError

GROUPS = ("model", "data", "loss")
"""What of a checkpoint's config is built again."""

TRANSFORMS = "torchvision.transforms.v2."
_CALLED = re.compile(r"^\s*(?:_target_|adapter):\s*([\w.]+)", re.MULTILINE)


def require_trusted(cfg: DictConfig, trusted: Sequence[str], path: Path) -> None:
    """Raise ConfigError for the first target in a config that nobody vouches for.

    `trusted` are names of modules or packages that the user vouches for.
    """
    for target in targets([OmegaConf.to_container(cfg[group], resolve=True) for group in GROUPS]):
        package = target.partition(".")[0]
        vouched = any(target == name or target.startswith(f"{name}.") for name in trusted)
        if not vouched and target not in shipped() and not _is_transform(target):
            raise ConfigError(
                f"{path} calls {target}, which is not part of sweeper: type trust={package} "
                "if you know that code"
            )


def require_resolved(text: str, path: Path) -> None:
    """Raise CheckpointError for a config that is not plain: its resolvers might make more of it."""
    if "${" in text:
        raise CheckpointError(f"{path}: its config refers to something outside of it")


def targets(node: Any) -> Iterator[str]:
    """Yield every class or function that a plain config calls, however deep it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("_target_", "adapter") and value is not None:
                yield str(value)
            else:
                yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@cache
def shipped() -> frozenset[str]:
    """Return what the options of these groups in `conf/` call."""
    files = (path for group in GROUPS for path in (CONFIGS / group).glob("*.yaml"))
    texts = (path.read_text(encoding="utf-8") for path in files)
    return frozenset(target for text in texts for target in _CALLED.findall(text))


def _is_transform(target: str) -> bool:
    name = target.removeprefix(TRANSFORMS)
    return target.startswith(TRANSFORMS) and name.isidentifier() and name != "Lambda"
