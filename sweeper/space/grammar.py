"""A distribution of Optuna as a sweep in Hydra's override grammar."""

from typing import Any

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from sweeper.cli.overrides import override_text


def sweep_text(distribution: str) -> str:
    """Return a distribution, given as JSON, as a user would type it: `tag(log,interval(1e-4,0.1))`.

    Raises:
        KeyError, TypeError, ValueError: the text is no distribution.
    """
    d = json_to_distribution(distribution)
    if isinstance(d, CategoricalDistribution):
        return f"choice({','.join(map(_choice_text, d.choices))})"
    assert isinstance(d, IntDistribution | FloatDistribution)
    is_whole = isinstance(d, IntDistribution)
    if d.step is not None and not (is_whole and d.step == 1):
        # A range excludes its end, and a distribution includes it.
        return f"range({d.low},{d.high + (d.step if is_whole else d.step / 2)},{d.step})"
    text = f"interval({d.low},{d.high})"
    text = f"int({text})" if is_whole else text
    return f"tag(log,{text})" if d.log else text


def _choice_text(choice: Any) -> str:
    """Return a choice in the grammar, in which Optuna holds the choices that are no numbers."""
    return choice if isinstance(choice, str) else override_text(choice)
