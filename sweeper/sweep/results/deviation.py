"""The values of a trial in words, and the seed that stands for a trial with several seeds."""

import math
from typing import Any

from optuna.trial import FrozenTrial

from sweeper.sweep.budget import DEVIATION_KEY, REPEATS_KEY

MAX_DECIMALS = 6
LARGEST_IN_DIGITS = 1e9


def values_text(trial: FrozenTrial) -> str:
    """Return the values of a complete trial, such as `0.9821 ± 0.0031 (5 seeds)`."""
    repeats, deviations = _repeats(trial), _deviations(trial)
    if not repeats or not deviations:
        return ", ".join(f"{v:.6g}" for v in trial.values)
    pairs = zip(trial.values, deviations, strict=True)
    values = ", ".join(with_deviation(value, deviation) for value, deviation in pairs)
    return f"{values} ({len(repeats)} seeds)"


def typical_repeat(trial: FrozenTrial) -> int | None:
    """Return the index of the seed whose values are nearest to the mean of all seeds.

    The distance in each objective counts in standard deviations. None if the trial has no seeds of
    its own.
    """
    repeats = _repeats(trial)
    scales = _deviations(trial) or [1.0] * len(trial.values)

    def distance(index: int) -> float:
        triples = zip(repeats[index], trial.values, scales, strict=True)
        return math.hypot(*((value - mean) / (scale or 1.0) for value, mean, scale in triples))

    return min(range(len(repeats)), key=distance, default=None)


def typical_values(trial: FrozenTrial) -> tuple[float, ...]:
    """Return the values of the run that stands for a trial: its only one, or that of a seed."""
    index = typical_repeat(trial)
    return tuple(trial.values if index is None else _repeats(trial)[index])


def _repeats(trial: FrozenTrial) -> list[list[float]]:
    """Return the values of each seed; nothing if they are not on record."""
    record = trial.user_attrs.get(REPEATS_KEY)
    repeats = [_numbers(each, trial) for each in record] if isinstance(record, list) else []
    return repeats if all(repeats) else []


def _deviations(trial: FrozenTrial) -> list[float]:
    return _numbers(trial.user_attrs.get(DEVIATION_KEY), trial)


def _numbers(record: Any, trial: FrozenTrial) -> list[float]:
    """Return numbers on record, one for each objective; nothing if these are not."""
    is_list = isinstance(record, list | tuple) and len(record) == len(trial.values)
    are_numbers = is_list and all(isinstance(v, int | float) and math.isfinite(v) for v in record)
    return list(record) if are_numbers else []


def with_deviation(value: float, deviation: float) -> str:
    """Return a mean and its standard deviation, which has two digits after leading zeros.

    With one digit, two means that are compared may be rounded as differently as 0.96 and 0.956.
    """
    decimals = max(0, 1 - math.floor(math.log10(deviation))) if deviation > 0 else math.inf
    if decimals > MAX_DECIMALS or max(abs(value), deviation) > LARGEST_IN_DIGITS:
        return f"{value:.6g} ± {deviation:.2g}"
    return f"{value:.{decimals}f} ± {deviation:.{decimals}f}"
