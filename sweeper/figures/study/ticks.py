"""Positions and texts of ticks."""

import math
from collections.abc import Sequence

from matplotlib.ticker import LogLocator, MaxNLocator

Ticks = list[tuple[float, str]]
"""The value of each tick, and its text."""

_LARGEST_IN_DIGITS, _SMALLEST_IN_DIGITS = 1e6, 1e-4
_UNITS = {"G": (1e9, 1e9), "M": (1e6, 1e6), "k": (1e3, 1e5)}
"""Units of numbers on axes, and from which number on they are used; the largest one first."""


def number_text(value: float, digits: int = 3) -> str:
    """Return a number as it is typed, such as 32, 0.0012 or 3e-5, with so many digits."""
    if math.isfinite(value) and value == int(value) and abs(value) < _LARGEST_IN_DIGITS:
        return str(int(value))
    if 10 ** (digits - 1) <= abs(value) < _LARGEST_IN_DIGITS:
        return str(round(value))
    text = f"{value:.{digits}g}"
    number, e, exponent = text.partition("e")
    return f"{number}e{int(exponent)}" if e else text


def linear_ticks(low: float, high: float, most: int = 5, integer: bool = False) -> Ticks:
    """Return round numbers within the limits, `most` of them at most."""
    if not low < high:
        return [(low, number_text(low))]
    steps = [1, 2, 5, 10] if integer else [1, 2, 2.5, 5, 10]
    locator = MaxNLocator(max(most - 1, 1), integer=integer, min_n_ticks=1, steps=steps)
    slack = 1e-9 * (high - low)
    values = [v for v in locator.tick_values(low, high) if low - slack <= v <= high + slack]
    return list(zip(values, _texts(values), strict=True))


def log_ticks(low: float, high: float, most: int = 5) -> Ticks:
    """Return powers of ten within the limits; within one decade, multiples by 2 and 5 too."""
    decades = math.log10(high) - math.log10(low)
    if decades < 0.5:
        return linear_ticks(low, high, most)
    locator = LogLocator(subs=(1.0,) if decades >= 2 else (1.0, 2.0, 5.0), numticks=most + 2)
    values = [v for v in locator.tick_values(low, high) if low * 0.999 <= v <= high * 1.001]
    values = values[:: -(-len(values) // most)] if values else [low, high]
    return [(value, number_text(value)) for value in values]


def _texts(values: Sequence[float]) -> list[str]:
    """Return the values with as many decimals as their distance needs."""
    if len(values) < 2:
        return [number_text(value) for value in values]
    largest, step = max(map(abs, values)), values[1] - values[0]
    for unit, (size, least) in _UNITS.items():
        if least <= largest < 1e6 * size:
            texts = _texts([value / size for value in values])
            return [f"{text}{unit}" if v else "0" for v, text in zip(values, texts, strict=True)]
    if largest >= _LARGEST_IN_DIGITS or largest < _SMALLEST_IN_DIGITS:
        digits = max(1, math.ceil(math.log10(largest / step)) + 1)
        return [number_text(value, digits) for value in values]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals += round(step, decimals) != round(step, decimals + 3)  # a step of 0.25
    return [f"{value:.{decimals}f}" for value in values]
