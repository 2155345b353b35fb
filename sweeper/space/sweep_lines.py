"""The overrides in `hydra.sweeper.params`, a mapping of config keys to sweeps or values."""

from collections.abc import Mapping
from typing import Any

from sweeper.cli.overrides import override_text, values_below
from sweeper.errors import ConfigError


def sweep_lines(params: Mapping[str, Any]) -> list[str]:
    """Return `params` as overrides. Nested mappings are read as keys with dots.

    A text is in Hydra's override grammar. A number, a boolean or null is a fixed value.

    Raises:
        ConfigError: a value is a list, which may be meant as a choice or as a fixed value.
    """
    return [f"{key}={_sweep(key, value)}" for key, value in values_below(params)]


def _sweep(key: str, value: Any) -> str:
    if isinstance(value, list):
        text = override_text(value)
        raise ConfigError(
            f"hydra.sweeper.params: {key}={text}: must be a text; type "
            f'"choice({text[1:-1]})" to search these values, or "{text}" for a fixed list'
        )
    return value if isinstance(value, str) else override_text(value)
