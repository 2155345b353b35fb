"""Asynchronous successive halving that pauses trials at rungs, and promotes them later."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from simulation.clock import Study, Trial
from simulation.tables import Table


@dataclass
class Promotion:
    """Algorithm 2 of Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020.

    A free worker promotes a paused trial, or else starts one, or else deepens a paused one: until
    `finish` trials are complete, and none paused with a better value than the best complete one.

    eta: the best 1/eta of a rung are promoted; the next rung is eta times as far.
    r: the first rung, in epochs, or as a share of all epochs if `is_share`.
    finish: the number of complete trials at least.
    capped: deepen no more trials at a time than are missing.
    value: what a rung compares: the last look, the best so far, or the mean of the last two.
    breadth: start all trials before one is promoted.
    members: multiples of eta that a rung needs before it promotes.
    deepen: which trial is deepened: the best one of the highest rung, the best one of all, or the
        one with the best extrapolation.
    """

    eta: int = 3
    r: float = 0.05
    is_share: bool = True
    finish: int = 2
    capped: bool = False
    value: Literal["last", "best", "mean"] = "last"
    breadth: bool = False
    members: int = 1
    deepen: Literal["rung", "value", "log"] = "rung"
    reached: dict[int, list[Trial]] = field(default_factory=lambda: defaultdict(list))
    """The trials that have come to each rung."""
    values: dict[tuple[Trial, int], float] = field(default_factory=dict)
    """The values of trials at rungs."""
    paused: dict[Trial, int] = field(default_factory=dict)
    """The rungs of the paused trials."""

    def rungs(self, table: Table) -> list[float]:
        """Return the positions of the rungs, in epochs, without the end of a trial."""
        position, found = self.r * (table.epochs if self.is_share else 1), []
        while on_grid(position) < table.epochs:
            found.append(on_grid(position))
            position *= self.eta
        return list(dict.fromkeys(found))

    def stops(self, table: Table) -> list[int]:
        return [*(table.at.index(rung) for rung in self.rungs(table)), len(table.at) - 1]

    def next(self, study: Study) -> Trial | None:
        trial = None if self.breadth and study.can_start else self._promotable()
        if trial is None and study.can_start:
            return study.started
        if trial is None:
            trial = self._deepened(study)
        if trial is not None:
            del self.paused[trial]
        return trial

    def arrived(self, study: Study, trial: Trial) -> None:
        rung = self.stops(study.table).index(study.reached[trial])
        self.reached[rung].append(trial)
        self.values[trial, rung] = self._value(study, trial)
        self.paused[trial] = rung

    def _value(self, study: Study, trial: Trial) -> float:
        """Return the value of a trial at the rung that it has come to."""
        table, curve = study.table, study.curves[trial]
        looks = sorted({*table.whole_epochs, *self.stops(table)})
        seen = [curve[look] for look in looks if look <= study.reached[trial]]
        match self.value:
            case "best":
                return max(seen)
            case "mean":
                return sum(seen[-2:]) / len(seen[-2:])
        return seen[-1]

    def _promotable(self) -> Trial | None:
        """Return the best paused trial of the highest rung that has one among its best 1/eta."""
        for rung in sorted(self.reached, reverse=True):
            members = self.reached[rung]
            if len(members) < self.members * self.eta:
                continue
            ranked = sorted(members, key=lambda trial: -self.values[trial, rung])
            for trial in ranked[: len(members) // self.eta]:
                if self.paused.get(trial) == rung:
                    return trial
        return None

    def _deepened(self, study: Study) -> Trial | None:
        missing = self._missing(study)
        if self.capped and len(study.running) >= max(missing, 1):
            return None
        bar = -math.inf if missing > 0 else study.best_complete
        better = [
            t
            for t, rung in self.paused.items()
            if self.values[t, rung] > bar and self._can_be_deepened(t, missing > 0)
        ]
        return max(better, key=lambda trial: self._rank(study.table, trial), default=None)

    def _missing(self, study: Study) -> int:
        """Return how many trials are still to be trained to their end."""
        return self.finish - len(study.complete)

    def _can_be_deepened(self, trial: Trial, is_missing: bool) -> bool:
        """Return whether a paused trial may go on; `is_missing` is True if one is missing."""
        return True

    def _rank(self, table: Table, trial: Trial) -> tuple[float, ...]:
        rung = self.paused[trial]
        value = self.values[trial, rung]
        match self.deepen:
            case "value":
                return (value, rung, -trial)
            case "log":
                return (self._extrapolated(table, trial), rung, -trial)
        return (rung, value, -trial)

    def _extrapolated(self, table: Table, trial: Trial) -> float:
        """Return the value at the end, on half the slope since the rung before, in log time."""
        rungs, rung = self.rungs(table), self.paused[trial]
        value = self.values[trial, rung]
        if rung == 0:
            return value
        gain = max(value - self.values[trial, rung - 1], 0.0)
        slope = gain / math.log(rungs[rung] / rungs[rung - 1])
        return value + 0.5 * slope * math.log(table.epochs / rungs[rung])


def on_grid(position: float) -> float:
    """Return the nearest whole epoch, or below one epoch the nearest quarter above 0."""
    return max(0.25, round(4 * position) / 4) if position < 1 else float(round(position))
