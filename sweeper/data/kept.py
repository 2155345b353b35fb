"""What one run of a process leaves to the next one, as the trials of a worker follow each other.

Most trials of a study read the same splits. To check and divide them takes longer than a small
epoch, so the last ones are kept in memory.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sweeper import trial

T = TypeVar("T")
_kept: dict[str, dict[Hashable, Any]] = {}


def kept(kind: str, key: Hashable, make: Callable[[], T], most: int = 8) -> T:
    """Return the value of an earlier trial with this key, or the new one that `make` returns.

    The value must depend on the key alone, and nobody may change it. Of each kind, the `most` last
    ones are kept. Outside a study nothing is.
    """
    if trial.info() is None:
        return make()
    values = _kept.setdefault(kind, {})
    value: T = values.pop(key) if key in values else make()
    values[key] = value  # the last one is that of the last use
    while len(values) > most:
        del values[next(iter(values))]
    return value
