"""A study on a virtual clock: workers, trials, and the rule that decides what trains next."""

import heapq
import math
from dataclasses import dataclass, field
from typing import Protocol

from simulation.tables import Table

Trial = int
"""The number of a trial in its study."""


@dataclass
class Study:
    """The state of a simulated study, as a rule sees it.

    curves: the values of each trial at all looks of the table.
    finals: the value of each trial if it is complete.
    started: the number of trials that were started.
    reached: the last look of each started trial.
    running, complete: the trials in these states; the others are paused or stopped.
    """

    table: Table
    curves: list[list[float]]
    finals: list[float]
    started: int = 0
    reached: dict[Trial, int] = field(default_factory=dict)
    running: set[Trial] = field(default_factory=set)
    complete: list[Trial] = field(default_factory=list)

    @staticmethod
    def of(table: Table, points: list[int]) -> "Study":
        """Return a study that tries these points of the table, in this order."""
        return Study(table, table.val[points].tolist(), table.final()[points].tolist())

    @property
    def can_start(self) -> bool:
        """True if the budget has a place for another trial."""
        return self.started < len(self.curves)

    @property
    def best_complete(self) -> float:
        """The best value of a complete trial, or minus infinity."""
        return max((self.finals[trial] for trial in self.complete), default=-math.inf)


class Rule(Protocol):
    """A rule of a study; it keeps what it needs to know about it."""

    def stops(self, table: Table) -> list[int]:
        """Return the looks at which the rule decides; the last one is the end of a trial.

        The ends of epochs are looked at in any case.
        """
        ...

    def next(self, study: Study) -> Trial | None:
        """Return the trial that a free worker trains to its next stop, or None."""
        ...

    def arrived(self, study: Study, trial: Trial) -> None:
        """Act on the value of a trial that has come to a stop before its end."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a study cost, and the point of the table that won.

    seconds: the sum over the workers, in training, looks and starts.
    wall: seconds until the last worker was done.
    share: the epochs trained, as a share of those of all trials.
    complete: the number of complete trials.
    """

    seconds: float
    wall: float
    share: float
    complete: int
    winner: int


def simulate(table: Table, points: list[int], workers: int, rule: Rule) -> Outcome:
    """Run a study of these points until the rule has nothing left for a free worker."""
    study, costs = Study.of(table, points), Costs(table, points, rule)
    now = seconds = epochs = 0.0
    free: list[Trial | None] = [None] * workers  # the trial that each free worker had last
    events: list[tuple[float, Trial, int]] = []
    while True:
        while free and (trial := rule.next(study)) is not None:
            at_hand = trial in free
            free.remove(trial if at_hand else free[0])
            end, cost, trained = costs.to_next_stop(trial, study.reached.get(trial), at_hand)
            seconds, epochs = seconds + cost, epochs + trained
            study.started = max(study.started, trial + 1)
            study.running.add(trial)
            heapq.heappush(events, (now + cost, trial, end))
        if not events:
            break
        now, trial, study_end = heapq.heappop(events)
        study.running.discard(trial)
        study.reached[trial] = study_end
        free.append(trial)
        if study_end == len(table.at) - 1:
            study.complete.append(trial)
        else:
            rule.arrived(study, trial)
    winner = max(study.complete, key=lambda trial: (study.finals[trial], -trial))
    share = epochs / (len(points) * table.epochs)
    return Outcome(seconds, now, share, len(study.complete), points[winner])


class Costs:
    """The seconds and epochs from one stop of a trial to the next."""

    def __init__(self, table: Table, points: list[int], rule: Rule) -> None:
        self.at, self.stops = table.at, rule.stops(table)
        self.looks = {*table.whole_epochs, *self.stops}
        self.clock = table.clock[points].tolist()
        self.look, self.start = table.look[points].tolist(), table.start[points].tolist()

    def to_next_stop(
        self, trial: Trial, reached: int | None, at_hand: bool
    ) -> tuple[int, float, float]:
        """Return the look of the next stop, and the seconds and epochs until then.

        `at_hand` is true if the worker need not start the trial or take it up again.
        """
        before = -1 if reached is None else reached
        end = next(stop for stop in self.stops if stop > before)
        n_looks = len([look for look in self.looks if before < look <= end])
        seconds = self.clock[trial][end] - (self.clock[trial][before] if before >= 0 else 0.0)
        seconds += n_looks * self.look[trial] + (0.0 if at_hand else self.start[trial])
        return end, seconds, self.at[end] - (self.at[before] if before >= 0 else 0.0)
