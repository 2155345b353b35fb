"""The check of the classes and functions that a checkpoint's config names.

Building a config calls the targets that it names. A checkpoint may come from anyone, so its config
may only name targets of sweeper's own options, torchvision's transforms, and packages that the user
trusts.
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
"""The groups of a checkpoint's config that are built."""

TRANSFORMS = "torchvision.transforms.v2."
_TARGET = re.compile(r"^\s*(?:_target_|adapter):\s*([\w.]+)", re.MULTILINE)


def require_trusted(cfg: DictConfig, trusted: Sequence[str], path: Path) -> None:
    """Check that every target in the config of the checkpoint at `path` is trusted.

    `trusted` are names of modules or packages that the user trusts.

    Raises:
        ConfigError: a target is not trusted; the message names the first one.
    """
    for target in targets([OmegaConf.to_container(cfg[group], resolve=True) for group in GROUPS]):
        package = target.partition(".")[0]
        by_user = any(target == name or target.startswith(f"{name}.") for name in trusted)
        if not by_user and target not in shipped_targets() and not _is_transform(target):
            raise ConfigError(
                f"{path} calls {target}, which is not part of sweeper: type trust={package} "
                "if you trust that code"
            )


def require_resolved(text: str, path: Path) -> None:
    """Check that the YAML of a config has no interpolation, which might call a resolver.

    Raises:
        CheckpointError: it has one.
    """
    if "${" in text:
        raise CheckpointError(f"{path}: its config has an interpolation, which no run writes")


def targets(node: Any) -> Iterator[str]:
    """Yield the path of every class or function that a plain config calls, at any depth."""
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
def shipped_targets() -> frozenset[str]:
    """Return the targets of sweeper's own options in these groups, read from `conf/`."""
    files = (path for group in GROUPS for path in (CONFIGS / group).glob("*.yaml"))
    texts = (path.read_text(encoding="utf-8") for path in files)
    return frozenset(target for text in texts for target in _TARGET.findall(text))


def _is_transform(target: str) -> bool:
    name = target.removeprefix(TRANSFORMS)
    return target.startswith(TRANSFORMS) and name.isidentifier() and name != "Lambda"
