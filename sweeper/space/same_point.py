"""Whether two trials have the same parameters."""

from collections.abc import Hashable, Mapping
from typing import Any


def point_key(params: Mapping[str, Any]) -> Hashable:
    """Return the same key for the same parameters, in any order.

    Numbers are the same if they agree in 12 digits: a sampler computes 0.30000000000000004 where a
    range lists 0.3.
    """
    return tuple(sorted((name, _text(value)) for name, value in params.items()))


def same_point(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two trials have the same key; it is faster than to compare the keys."""
    return one.keys() == other.keys() and all(
        one[name] is other[name] or _text(one[name]) == _text(other[name]) for name in one
    )


def _text(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_exact = isinstance(value, int) and abs(value) >= 10**12
    return f"{value:.12g}" if is_number and not is_exact else repr(value)
