"""The check of what a checkpoint brings along: the targets, the text and the values of its config.

Building a config calls the targets that it names. A checkpoint may come from anyone, so its config
may only name targets of sweeper's own options, torchvision's transforms, and packages that the user
trusts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from sweeper.build.option import Trust
from sweeper.configs import CONFIGS
from sweeper.data.profile import Profile
from sweeper.errors import CheckpointError, ConfigError
from sweeper.schema import checked
from sweeper.text import in_one_line

TRAINING_NODES: dict[str, Any] = {
    "optimizer": {"_target_": "torch.optim.SGD"},
    "scheduler": {"_target_": None},
    "init": {"_target_": None},
    "stopping": {"_target_": None},
    "tracking": {"_target_": "sweeper.tracking.tracker.NullTracker"},
    "callbacks": {},
    "resume": None,
}
"""Replacements for the nodes that only training needs, so that nothing of them is built."""

GROUPS = ("model", "data", "loss")
"""The groups of a checkpoint's config that are built."""

MAX_CONFIG_LENGTH = 100_000
"""The characters of a config. Those of sweeper's options have about 5,000."""

MAX_DEPTH = 50
"""The levels of a config. The parser takes seconds for thousands of them."""

TRANSFORMS = "torchvision.transforms.v2."
_TARGET = re.compile(r"^\s*(?:_target_|adapter):\s*([\w.]+)", re.MULTILINE)


def trust_of(path: Path, packages: Sequence[str]) -> Trust:
    """Return the check of a target in the config of the checkpoint at `path`.

    `packages` are names of modules or packages that the user trusts. The check raises ConfigError
    for a target that nobody trusts.
    """

    def trust(target: str) -> None:
        by_user = any(target == name or target.startswith(f"{name}.") for name in packages)
        if by_user or target in shipped_targets() or _is_transform(target):
            return
        package = target.partition(".")[0]
        raise ConfigError(
            f"{path} calls {target}, which is not part of sweeper: type trust={package} "
            "if you trust that code"
        )

    return trust


def targets_in(config: object) -> Iterator[str]:
    """Yield the classes and functions that a plain config of one's own calls."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key in ("_target_", "adapter") and isinstance(value, str):
                yield value
            yield from targets_in(value)
    elif isinstance(config, list):
        for value in config:
            yield from targets_in(value)


def parsed_profile(values: object, path: Path) -> Profile:
    """Return the profile that a checkpoint holds, each value of the type that it must have.

    Raises:
        CheckpointError: a value is missing or of another type.
    """
    try:
        return Profile(**checked("data", Profile, values))  # type: ignore[arg-type]
    except (ConfigError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {in_one_line(error)}") from error


def parsed_config(text: object, path: Path) -> DictConfig:
    """Return the config that a checkpoint holds as YAML; nothing in it is resolved.

    Raises:
        CheckpointError: it is no config of a run, or more than plain values.
    """
    if not isinstance(text, str) or len(text) > MAX_CONFIG_LENGTH:
        raise CheckpointError(f"{path} has no config of a run")
    try:
        oddity = _oddity(text)
        cfg = None if oddity else OmegaConf.create(text)
    except Exception as error:  # the YAML parser's errors have many types
        raise CheckpointError(f"{path} has no config of a run") from error
    if oddity:
        raise CheckpointError(f"{path}: its config has {oddity}, which no run writes")
    if not isinstance(cfg, DictConfig):
        raise CheckpointError(f"{path} has no config of a run")
    return cfg


def _oddity(text: str) -> str | None:
    """Return what a YAML text has beside plain values, before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return f"more than {MAX_DEPTH} levels"
        if isinstance(event, yaml.AliasEvent):  # a few lines of aliases can fill the memory
            return "an alias"
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            return "an interpolation"
    return None


@cache
def shipped_targets() -> frozenset[str]:
    """Return the targets of sweeper's own options in these groups, read from `conf/`."""
    files = (path for group in GROUPS for path in (CONFIGS / group).glob("*.yaml"))
    texts = (path.read_text(encoding="utf-8") for path in files)
    own = {target for text in texts for target in _TARGET.findall(text)}
    nodes = (node for node in TRAINING_NODES.values() if isinstance(node, Mapping))
    return frozenset(own | {str(node["_target_"]) for node in nodes if node.get("_target_")})


def _is_transform(target: str) -> bool:
    name = target.removeprefix(TRANSFORMS)
    return target.startswith(TRANSFORMS) and name.isidentifier() and name != "Lambda"
