"""The overrides that the user typed, checked before Hydra composes them.

Hydra and OmegaConf let some wrong values through. They fail later with an error that names neither
key nor value, and some of them only after Hydra has created the folder of the run.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sweeper.cli.overrides import flags_and_overrides
from sweeper.errors import ConfigError

MAX_NAME_BYTES = 255
"""The length of the name of a file or a folder on all common file systems."""

MAX_PATH_BYTES = 3_000
"""The length of a path. Linux takes 4,096 bytes, of which the files of a run need some."""

MAX_OVERRIDE_LENGTH = 10_000
"""The characters of an override. Hydra's parser takes seconds for more."""

PLUGIN_PACKAGES = ("hydra_plugins.", "hydra._internal.core_plugins.")
"""The packages from which Hydra loads plugins."""

OWN_FOLDERS = ("--config-d", "--config-p", "-cd", "-cp", "hydra.searchpath")
"""How the arguments begin that name folders with more groups. Hydra takes its flags shortened."""

MAX_DEPTH = 40
"""The levels of lists and mappings in a value. Hydra's parser calls itself for each of them."""


def overrides_in(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are overrides, and neither flags nor paths."""
    _, words = flags_and_overrides(arguments)
    return [word for word in words if "=" in word or word.startswith("~")]


def check_not_empty(arguments: Sequence[str]) -> None:
    """Check that no argument is empty, as one of an empty variable of the shell is.

    Raises:
        ConfigError: one is.
    """
    for argument in arguments:
        if not argument.strip():
            raise ConfigError(f"'{argument}': an argument is empty; leave it out")


def check_overrides(arguments: Sequence[str]) -> None:
    """Check what Hydra does not check itself, or only after it has written files.

    An override that cannot be parsed is left to Hydra, and so is a value with an interpolation.

    Raises:
        ConfigError: an override has a value that cannot work.
    """
    for line in overrides_in(arguments):
        _check_text(line)
        override = parsed(line)
        if override is None or override.is_delete() or override.is_sweep_override():
            continue
        value = override.value()
        if "/" in override.key_or_group:
            _check_group(line, list(_own_folders(arguments)))
            _check_option(line, value)
        if isinstance(value, list):
            _check_list(line, override.key_or_group, value)
        for key, inner in keys_within(override.key_or_group, value):
            if key in CHECKS and "${" not in str(inner):
                problem = CHECKS[key](inner)
                if problem:
                    where = "" if key == override.key_or_group else f"{key} "
                    raise ConfigError(f"{line}: {where}{problem}")


def _check_text(line: str) -> None:
    key = line.partition("=")[0]
    if len(line) > MAX_OVERRIDE_LENGTH:
        raise ConfigError(f"{key[:80]}: its value is longer than {MAX_OVERRIDE_LENGTH} characters")
    if "\n" in line or "\0" in line:
        raise ConfigError(f"{key}: its value has a line break or a null character; remove it")
    if _depth(line) > MAX_DEPTH:
        raise ConfigError(f"{key}: its value has more than {MAX_DEPTH} levels; type a flatter one")


def _depth(line: str) -> int:
    depth = deepest = 0
    for character in line:
        depth += (character in "[{(") - (character in "]})")
        deepest = max(deepest, depth)
    return deepest


def parsed(line: str) -> Override | None:
    """Return an override as Hydra reads it, or None if it cannot be read."""
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException:
        return None  # Hydra's own message follows


def _own_folders(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the folders that the arguments name for more groups, and the packages as they stand."""
    for before, argument in pairwise(("", *arguments)):
        name, equals, value = argument.lstrip("+").partition("=")
        if equals and name.startswith(OWN_FOLDERS):
            yield from re.findall(r"[^\[\],'\"\s]+", value)
        elif "=" not in before and before.startswith(OWN_FOLDERS):
            yield argument


def _has_group(folder: str, group: str) -> bool:
    """Return whether a folder has a group, as far as it can be looked up."""
    path = Path(folder.removeprefix("file://"))
    return not path.is_dir() or (len(group) < MAX_NAME_BYTES and (path / group).is_dir())


def _check_group(line: str, folders: Sequence[str]) -> None:
    """Check that a key with a slash is no key of one of our groups, written so by mistake.

    `folders` are the user's own, which may have more groups.
    """
    from sweeper.configs import CONFIGS

    group, _, key = line.partition("=")[0].lstrip("+~").rpartition("/")
    # Their names are listed, since one from outside may be too long to be looked up.
    groups = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.is_dir()}
    own = {name for name in groups if not name.startswith("hydra")}
    nested = f"{group}/{key.partition('@')[0]}"
    if group in own and nested not in own and not any(_has_group(f, nested) for f in folders):
        typed = line.replace(f"{group}/{key}", f"{group.replace('/', '.')}.{key}", 1)
        raise ConfigError(f"{line}: there is no such group; for a key of {group}, type {typed}")


def _check_option(line: str, value: Any) -> None:
    """Check that a value is the name of an option, a list of names, or null."""
    values = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(each, str) for each in values):
        raise ConfigError(f"{line}: must be the name of an option; see --hydra-help for the names")


def _check_list(line: str, group: str, options: Sequence[Any]) -> None:
    """Check that a list has no options that set the same: Hydra merges their keys, the last wins.

    Such are two classes, or two recipes that each choose a network.
    """
    from sweeper.configs import CONFIGS  # registers resolvers: another application may have its own

    files = [CONFIGS / group / f"{option}.yaml" for option in options if isinstance(option, str)]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    chosen = [set(re.findall(r"^(?:_target_|  - override [\w/]+):", t, re.M)) for t in texts]
    if len(chosen) > 1 and set.intersection(*chosen):
        raise ConfigError(
            f"{line}: has several options; type one of them, or, to try one after another, "
            f"--multirun {group}={','.join(options)}"
        )


def keys_within(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a key with its value, and those below it."""
    yield key, value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from keys_within(f"{key}.{name}", inner)


def _folder(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be the path of a folder; type a path such as my_runs/first"
    return unusable_folder(Path(value))


def unusable_folder(path: Path) -> str | None:
    """Return why no folder can be created at a path, or None if one can."""
    return _wrong_path(path) or unwritable_folder(path)


def _wrong_path(path: Path) -> str | None:
    """Return what is wrong with a path as it was typed, or None."""
    if any(len(os.fsencode(name)) > MAX_NAME_BYTES for name in path.parts):
        return f"has a name of more than {MAX_NAME_BYTES} bytes; type a shorter path"
    if len(os.fsencode(path.absolute())) > MAX_PATH_BYTES:
        return f"has more than {MAX_PATH_BYTES} bytes; type a shorter path"
    if not str(path).isprintable():
        return "has characters that cannot be printed; type another path"
    return None


def unwritable_folder(path: Path) -> str | None:
    """Return why nothing can be written to a folder, which may not exist yet, or None."""
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not existing.is_dir():
        return f"Not a directory: {existing} is a file; type the path of a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"Permission denied: you may not write to {existing}; type another path"
    return None


def unusable_file(path: Path) -> str | None:
    """Return why no file can be written at a path whose folder must exist, or None if one can."""
    problem = unusable_folder(path.parent)
    if problem is None and not path.parent.is_dir():
        problem = f"there is no folder {path.parent}"
    return problem


def _optional_folder_name(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or Path(value).is_absolute() or ".." in Path(value).parts:
        return "must be the name of a folder, or null; type a name such as .hydra"
    return _folder(value)


def _file_name(value: Any) -> str | None:
    text = str(value)
    is_name = isinstance(value, str | int) and not isinstance(value, bool)
    if not is_name or not text or "/" in text or text in (".", ".."):
        return "must be the name of a file without its ending; type a name such as sweeper"
    return _wrong_path(Path(f"{text}.log"))


def _verbose(value: Any) -> str | None:
    names = value if isinstance(value, list) else [value]
    if isinstance(value, bool) or all(isinstance(name, str) for name in names):
        return None
    return "must be true, false, the name of a logger or a list of names; type hydra.verbose=true"


def _environment_names(value: Any) -> str | None:
    missing = [name for name in value if name not in os.environ] if isinstance(value, list) else []
    if not missing:
        return None
    return f"names {missing[0]}, which is no variable of the environment; remove it"


def _environment(value: Any) -> str | None:
    pairs = value.items() if isinstance(value, Mapping) else ()
    if all(isinstance(v, str | int | float) and str(k) and "=" not in str(k) for k, v in pairs):
        return None
    return "must map names of variables to texts; type a mapping such as {OMP_NUM_THREADS: '1'}"


def _node(group: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, Mapping):
            return None
        name = value if isinstance(value, str) and value.isidentifier() else "NAME"
        return f"is a group of keys; type {group}={name} to choose one"

    return check


def _callbacks(value: Any) -> str | None:
    nodes = value.values() if isinstance(value, Mapping) else ([] if value is None else [None])
    if all(isinstance(node, Mapping) for node in nodes):
        return None
    return "must map names to classes; type +hydra.callbacks.mine._target_=my_package.MyCallback"


def _plugin(group: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and value.startswith(PLUGIN_PACKAGES):
            return None
        return f"is no plugin of Hydra; choose one with {group}=NAME"

    return check


def _search_path(value: Any) -> str | None:
    paths = [str(path).removeprefix("file://") for path in value] if isinstance(value, list) else []
    missing = [path for path in paths if "://" not in path and not os.path.isdir(path)]  # noqa: PTH112
    return f"names {missing[0]}, which is no folder; type the path of one" if missing else None


def _text(value: Any) -> str | None:
    if isinstance(value, str) and "\\" not in value:
        return None
    return "must be a text without backslashes; type one such as '_'"


def _checkpoint(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return None
    return (
        "must be the path of a checkpoint or of a run's folder; type resume=outputs/<day>/<time>, "
        "or, for a study, its command as it was: that resumes it"
    )


CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "resume": _checkpoint,
    "hydra.run.dir": _folder,
    "hydra.sweep.dir": _folder,
    "hydra.sweep.subdir": _folder,
    "hydra.output_subdir": _optional_folder_name,
    "hydra.job.name": _file_name,
    "hydra.job.env_copy": _environment_names,
    "hydra.job.env_set": _environment,
    "hydra.job.config.override_dirname.kv_sep": _text,
    "hydra.searchpath": _search_path,
    "hydra.verbose": _verbose,
    "hydra.callbacks": _callbacks,
    "hydra.sweeper": _node("hydra/sweeper"),
    "hydra.sweeper.sampler": _node("hydra/sweeper/sampler"),
    "hydra.sweeper.pruner": _node("hydra/sweeper/pruner"),
    "hydra.sweeper._target_": _plugin("hydra/sweeper"),
    "hydra.launcher": _node("hydra/launcher"),
    "hydra.launcher._target_": _plugin("hydra/launcher"),
    "hydra.hydra_logging": _node("hydra/hydra_logging"),
    "hydra.job_logging": _node("hydra/job_logging"),
    "hydra.hydra_logging.formatters": _node("hydra/hydra_logging"),
    "hydra.job_logging.formatters": _node("hydra/job_logging"),
    "hydra.hydra_logging.handlers": _node("hydra/hydra_logging"),
    "hydra.job_logging.handlers": _node("hydra/job_logging"),
    "hydra.hydra_logging.root": _node("hydra/hydra_logging"),
    "hydra.job_logging.root": _node("hydra/job_logging"),
    "init.conv": _node("init@init.conv"),
    "init.linear": _node("init@init.linear"),
    "init.norm": _node("init@init.norm"),
}
"""The checks by key. Each returns what is wrong with a value, or None."""
