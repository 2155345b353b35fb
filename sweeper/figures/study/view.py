"""What the figures of a study are drawn from, as plain values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sweeper.figures.study.ticks import Ticks, linear_ticks, log_ticks, number_text
from sweeper.figures.style import joined

STATES = ("complete", "paused", "unfinished", "pruned", "failed")
"""What can have become of a trial. An unfinished one was put back, or still runs."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a study.

    Args:
        name: Its name.
        choices: The values of a categorical parameter in order; nothing for a number.
        low: The lowest value of a number.
        high: The highest value of a number.
        log: True if it is searched on a logarithmic scale.
        integer: True if its values are integers.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False

    @property
    def is_constant(self) -> bool:
        """True if it has one value."""
        return len(self.choices) == 1 or (not self.choices and not self.low < self.high)

    def position(self, value: Any) -> float:
        """Return the place of a value between 0 and 1 on the parameter's axis; NaN for none.

        Choices have the same distance from each other.
        """
        if self.choices:
            same = (i for i, choice in enumerate(self.choices) if _is_same(choice, value))
            return (next(same, math.nan) + 0.5) / len(self.choices)
        if not isinstance(value, int | float):
            return math.nan
        if self.is_constant:
            return 0.5
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def ticks(self, most: int = 5) -> Ticks:
        """Return places on the axis with their texts; every choice has one."""
        if self.choices:
            return [(self.position(choice), value_text(choice)) for choice in self.choices]
        at = (log_ticks if self.log else linear_ticks)(self.low, self.high, most)
        if not self.log and self.integer:
            at = linear_ticks(self.low, self.high, most, integer=True)
        return [(self.position(value), text) for value, text in at]


@dataclass(frozen=True)
class TrialView:
    """A trial of a study.

    Args:
        number: Its number.
        state: What became of it, one of `STATES`.
        params: Its parameters by name.
        values: The values of the objectives. Those of a trial that is not complete are what it
            reported last; nothing if it reported nothing.
        curve: What it reported: positions in epochs, and values.
        is_feasible: False if it violates a constraint, so that it cannot be the best.
    """

    number: int
    state: str
    params: Mapping[str, Any] = field(default_factory=dict)
    values: Sequence[float] = ()
    curve: Sequence[tuple[float, float]] = ()
    is_feasible: bool = True

    @property
    def has_values(self) -> bool:
        """True if all of its values are finite numbers."""
        return bool(self.values) and all(map(math.isfinite, self.values))

    @property
    def epochs(self) -> float:
        """The position of its last report."""
        return self.curve[-1][0] if self.curve else 0.0

    @property
    def reach(self) -> float:
        """How far it came: the position of its last report, or infinity if it is complete."""
        return math.inf if self.state == "complete" else self.epochs


@dataclass(frozen=True)
class StudyView:
    """A study.

    Args:
        name: Its name.
        about: What was searched, such as `cnn on digits`; may be empty.
        metrics: The names of the objectives.
        maximize: For each of them, whether higher values are better.
        trials: The trials in the order of their numbers.
        parameters: The parameters that have more than one value, the most important one first.
        importances: The importance of each parameter by name, with a sum of 1; nothing if there
            are too few trials.
        basis: Which trials the importances are those of.
        best: The number of the best trial, or of the chosen member of the front; None if there is
            none.
        best_text: The values of the best trial, as the command prints them.
        remarks: What is known of the best trial beyond the study, in sentences.
        front: The numbers of the trials of the Pareto front.
        advice: What to try next, in sentences.
        n_trials: The number of trials that were asked for; None if there is no limit.
    """

    name: str
    about: str
    metrics: Sequence[str]
    maximize: Sequence[bool]
    trials: Sequence[TrialView]
    parameters: Sequence[Parameter] = ()
    importances: Mapping[str, float] = field(default_factory=dict)
    basis: str = ""
    best: int | None = None
    best_text: str = ""
    remarks: Sequence[str] = ()
    front: Sequence[int] = ()
    advice: Sequence[str] = ()
    n_trials: int | None = None

    @cached_property
    def valued(self) -> list[TrialView]:
        """The trials that have values."""
        return [trial for trial in self.trials if trial.has_values]

    @cached_property
    def ranked(self) -> list[TrialView]:
        """The trials with values in the order of the first objective, the best one first.

        TPE ranks trials so: complete ones come first, then those that came further, and of these
        those with the better last value.
        """
        sign = -1.0 if self.maximize[0] else 1.0
        return sorted(self.valued, key=lambda t: (-t.reach, sign * t.values[0]))

    @property
    def best_trial(self) -> TrialView | None:
        """The best trial."""
        return next((t for t in self.trials if t.number == self.best), None)

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials in each state that there is."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in STATES if state in states}

    @property
    def counts_text(self) -> str:
        """The numbers of trials in words."""
        parts = [f"{n} {state}" for state, n in self.counts.items()]
        n = len(self.trials)
        head = "1 trial" if n == 1 else f"{n} trials"
        return f"{head}: {', '.join(parts)}" if len(parts) > 1 else " ".join([head, *self.counts])

    def is_better(self, value: float, other: float) -> bool:
        """Return whether a value of the first objective is better than another one."""
        return value > other if self.maximize[0] else value < other

    def heading(self, *parts: str) -> str:
        """Return the line under the title of a figure: study, network, data and further parts."""
        return joined(f"study {self.name}", self.about, *parts)


def value_text(value: Any) -> str:
    """Return the value of a parameter as it is typed, numbers with three digits."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number:
        return number_text(value)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _is_same(choice: Any, value: Any) -> bool:
    return choice == value and isinstance(choice, bool) == isinstance(value, bool)
