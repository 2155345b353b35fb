"""A study on a virtual clock: workers, trials, and the rule that decides what trains next."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulation.tables import Table

Trial = int
"""The number of a trial in its study."""


@dataclass
class Study:
    """The state of a simulated study, as a rule sees it.

    points: the points of the table that the trials try, in the order of their starts.
    curves: the value of each started trial at all looks of the table.
    finals: the value of each started trial if it is complete.
    reached: the last look of each started trial.
    running, complete: the trials in these states; the others are paused or stopped.
    """

    table: Table
    n_trials: int
    points: list[int] = field(default_factory=list)
    curves: list[list[float]] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    reached: dict[Trial, int] = field(default_factory=dict)
    running: set[Trial] = field(default_factory=set)
    complete: list[Trial] = field(default_factory=list)

    def start(self, point: int) -> None:
        """Start a trial that tries a point of the table."""
        self.points.append(point)
        self.curves.append(self.table.val[point].tolist())
        self.finals.append(float(self.table.final()[point]))

    @property
    def started(self) -> int:
        """The number of trials that were started, and the number of the next one."""
        return len(self.points)

    @property
    def can_start(self) -> bool:
        """True if the budget has a place for another trial."""
        return self.started < self.n_trials

    @property
    def best_complete(self) -> float:
        """The best value of a complete trial, or minus infinity."""
        return max((self.finals[trial] for trial in self.complete), default=-math.inf)


Draw = Callable[[Study], int]
"""Returns the point of the table that the next trial tries."""


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
    points: those of all trials.
    """

    seconds: float
    wall: float
    share: float
    complete: int
    winner: int
    points: list[int]


def simulate(table: Table, draw: Draw, n_trials: int, workers: int, rule: Rule) -> Outcome:
    """Run a study of this many trials until the rule has nothing left for a free worker."""
    study, costs = Study(table, n_trials), Costs(table, rule)
    now = seconds = epochs = 0.0
    free: list[Trial | None] = [None] * workers  # the trial that each free worker had last
    events: list[tuple[float, Trial, int]] = []
    while True:
        while free and (trial := rule.next(study)) is not None:
            if trial == study.started:
                study.start(draw(study))
            at_hand = trial in free
            free.remove(trial if at_hand else free[0])
            end, cost, trained = costs.to_next_stop(study, trial, at_hand)
            seconds, epochs = seconds + cost, epochs + trained
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
    share, points = epochs / (n_trials * table.epochs), study.points
    return Outcome(seconds, now, share, len(study.complete), points[winner], points)


class Costs:
    """The seconds and epochs from one stop of a trial to the next."""

    def __init__(self, table: Table, rule: Rule) -> None:
        self.table, self.stops = table, rule.stops(table)
        self.looks = {*table.whole_epochs, *self.stops}

    def to_next_stop(self, study: Study, trial: Trial, at_hand: bool) -> tuple[int, float, float]:
        """Return the look of the next stop, and the seconds and epochs until then.

        `at_hand` is true if the worker need not start the trial or take it up again.
        """
        table, point = self.table, study.points[trial]
        before = study.reached.get(trial, -1)
        end = next(stop for stop in self.stops if stop > before)
        n_looks = len([look for look in self.looks if before < look <= end])
        seconds = table.clock[point, end] - (table.clock[point, before] if before >= 0 else 0.0)
        seconds += n_looks * table.look[point] + (0.0 if at_hand else table.start[point])
        epochs = table.at[end] - (table.at[before] if before >= 0 else 0.0)
        return end, float(seconds), epochs
