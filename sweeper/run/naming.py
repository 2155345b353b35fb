"""The name of a run on the page of a tracker: its options, and what was overridden."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sweeper.cli.overrides import bare_key
from sweeper.secrets import masked_uri
from sweeper.text import in_one_line, shortened

ALWAYS_NAMED = ("model", "optimizer")
"""The groups whose option is always in the name; others are if their option was typed."""

NOT_NAMED = (
    "search", "study", "resume", "figures", "tracking", "run_name", "tags", "hydra",
    "data.root", "data.cache_dir", "data.download", "data.num_workers", "data.resident",
    "data.resident_limit_gib",
)  # fmt: skip
"""Keys, with all below them, that do not tell what a run computes."""

PLAIN_OPTIONS = ("none", "default", "null", "auto", "inline")
"""Options that say nothing without their group."""

MAX_VALUE_LENGTH, MAX_NAME_LENGTH = 24, 100


def run_name(choices: Mapping[str, str], overrides: Sequence[str]) -> str:
    """Return a name such as `lenet adam lr=0.003`, with at most about 100 characters.

    The last part of a key stands for the key, unless two of them would look the same.

    Args:
        choices: The option of each group.
        overrides: What was typed, in Hydra's grammar.
    """
    typed = {override_key(each): each for each in overrides}
    typed = {key: each for key, each in typed.items() if not _lies_below(key, NOT_NAMED)}
    groups = [*ALWAYS_NAMED, *(key for key in typed if key in choices)]
    words = [_option(group, choices[group]) for group in dict.fromkeys(groups) if group in choices]
    words += _values({key: each for key, each in typed.items() if key not in choices})
    return _cut(words)


def override_key(override: str) -> str:
    """Return the config key of an override; that of `init@init.conv=constant` is `init.conv`."""
    key = bare_key(override)
    name, at, package = key.partition("@")
    return package if at else name.replace("/", ".")


def _option(group: str, option: str) -> str:
    is_clear = "." not in group and option not in PLAIN_OPTIONS
    return option if is_clear else f"{group}={option}"


def _values(typed: Mapping[str, str]) -> Iterator[str]:
    """Yield `lr=0.003` for `optimizer.lr=0.003`, and an override that removes a key as it is."""
    last_parts = Counter(key.rpartition(".")[2] for key in typed)
    for key, override in typed.items():
        last = key.rpartition(".")[2]
        name = last if last_parts[last] == 1 else key
        value = in_one_line(masked_uri(override).partition("=")[2])
        is_removed = override.startswith("~")
        yield f"~{name}" if is_removed else f"{name}={shortened(value, MAX_VALUE_LENGTH)}"


def _lies_below(key: str, keys: Sequence[str]) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in keys)


def _cut(words: Sequence[str]) -> str:
    """Return the first words that have room, and how many more there are."""
    n = len(words)
    while n > 1 and len(" ".join(words[:n])) > MAX_NAME_LENGTH:
        n -= 1
    more = [f"and {len(words) - n} more"] if n < len(words) else []
    return " ".join([*words[:n], *more])
