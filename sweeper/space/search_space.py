"""The key `search_space` of the official Optuna sweeper up to Hydra 1.1, as sweeps."""

import logging
from collections.abc import Mapping
from typing import Any

from sweeper.cli.overrides import override_text, to_type
from sweeper.errors import ConfigError

log = logging.getLogger(__name__)
ARGUMENTS = {
    "categorical": {"choices"},
    "int": {"low", "high", "log", "step"},
    "float": {"low", "high", "log", "step"},
}
"""The arguments of each type of distribution."""


def searched(
    params: Mapping[str, Any] | None, search_space: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return `params`, or `search_space` in its form if there are none, with a warning.

    Raises:
        ConfigError: a value of `search_space` is not a distribution.
    """
    if search_space is None:
        return params or {}
    sweeps = {key: _sweep(key, distribution) for key, distribution in search_space.items()}
    if params:
        log.warning("hydra.sweeper.search_space is ignored, because hydra.sweeper.params is given")
        return params
    log.warning("hydra.sweeper.search_space is deprecated; %s", _instead(sweeps))
    return sweeps


def _sweep(key: str, d: Any) -> str:
    kind = d.get("type") if isinstance(d, Mapping) else None
    if kind not in ARGUMENTS or not {*d} - {"type"} <= ARGUMENTS[kind]:
        raise _refused(key)
    if kind == "categorical":
        if not isinstance(d.get("choices"), list) or not d["choices"]:
            raise _refused(key)
        return f"choice({','.join(map(override_text, d['choices']))})"
    if not _is_number(d.get("low")) or not _is_number(d.get("high")):
        raise _refused(key)
    return _interval(kind, d)


def _interval(kind: str, d: Mapping[str, Any]) -> str:
    number = int if kind == "int" else float
    low, high, step = number(d["low"]), number(d["high"]), d.get("step")
    if d.get("log"):
        interval = f"interval({low},{high})"
        return f"tag(log,{f'int({interval})' if kind == 'int' else interval})"
    if step is None:
        return f"int(interval({low},{high}))" if kind == "int" else f"interval({low},{high})"
    # A range excludes its end, and a distribution includes it.
    return f"range({low},{high + (1 if kind == 'int' else step / 2)},{number(step)})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(key: str) -> ConfigError:
    return ConfigError(
        f"hydra.sweeper.search_space: {key} is not a distribution; this key is deprecated, so "
        f"{_instead({key: 'interval(0.1,1)'})}"
    )


def _instead(sweeps: Mapping[str, str]) -> str:
    return to_type(f"hydra.sweeper.params={override_text(sweeps)}")
