"""Rules that end a trial for good: none, the median, and successive halving as Optuna has it."""

import statistics
from dataclasses import dataclass, field

from simulation.clock import Study, Trial
from simulation.tables import Table


@dataclass
class Stopping:
    """No rule: every trial is trained to its end. The base of those that stop trials."""

    going_on: list[Trial] = field(default_factory=list)

    def stops(self, table: Table) -> list[int]:
        return table.whole_epochs

    def next(self, study: Study) -> Trial | None:
        if self.going_on:
            return self.going_on.pop()
        return study.started if study.can_start else None

    def arrived(self, study: Study, trial: Trial) -> None:
        if not self.should_stop(study, trial):
            self.going_on.append(trial)

    def should_stop(self, study: Study, trial: Trial) -> bool:
        """Return whether the trial ends."""
        return False


@dataclass
class Median(Stopping):
    """Optuna's MedianPruner: after five complete trials, the median at the same step decides."""

    startup: int = 5

    def should_stop(self, study: Study, trial: Trial) -> bool:
        if len(study.complete) < self.startup:
            return False
        reached = study.reached[trial]
        seen = [study.curves[trial][look] for look in self.stops(study.table) if look <= reached]
        return max(seen) < statistics.median(study.curves[o][reached] for o in study.complete)


@dataclass
class Halving(Stopping):
    """Optuna's SuccessiveHalvingPruner, with the first rung after one epoch.

    A trial goes on if it is among the best 1/eta of its rung so far, or the best one.
    """

    eta: int = 3
    rungs: dict[int, list[float]] = field(default_factory=dict)
    level: dict[Trial, int] = field(default_factory=dict)

    def should_stop(self, study: Study, trial: Trial) -> bool:
        reached, level = study.reached[trial], self.level.get(trial, 0)
        if study.table.at[reached] < self.eta**level:
            return False
        value, competing = study.curves[trial][reached], self.rungs.setdefault(level, [])
        competing.append(value)
        self.level[trial] = level + 1
        kept = max(1, len(competing) // self.eta)
        return value < sorted(competing, reverse=True)[kept - 1]
