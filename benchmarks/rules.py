"""Rules that decide which trial of a study trains next, on a virtual clock over recorded curves."""

import heapq
import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tables import Table

Slot = int
"""The number of a trial in its study."""


@dataclass
class Study:
    """The state of a simulated study, as rules see it.

    points: the points of the table that are tried, in this order.
    started: the number of trials that were started.
    reached: the last look of each started trial.
    running, paused, complete: the trials in each state; the others were stopped.
    """

    table: Table
    points: list[int]
    started: int = 0
    reached: dict[Slot, int] = field(default_factory=dict)
    running: set[Slot] = field(default_factory=set)
    paused: set[Slot] = field(default_factory=set)
    complete: list[Slot] = field(default_factory=list)
    curves: list[list[float]] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.curves = self.table.val[self.points].tolist()
        self.finals = self.table.final()[self.points].tolist()

    @property
    def best_complete(self) -> float:
        """The best value of a complete trial, or minus infinity."""
        return max((self.finals[slot] for slot in self.complete), default=-math.inf)


class Rule(Protocol):
    """A rule; one object serves one study."""

    def looks(self, table: Table) -> set[int]:
        """Return the looks that are taken."""
        ...

    def stops(self, table: Table) -> list[int]:
        """Return the looks at which the rule decides; the last one is the end of the trial."""
        ...

    def next(self, study: Study) -> Slot | None:
        """Return the trial that a free worker should train to its next stop, or None."""
        ...

    def arrived(self, study: Study, slot: Slot) -> None:
        """Act on the value of a running trial that has come to a stop."""
        ...


def whole_epochs(table: Table) -> list[int]:
    """Return the looks at the ends of epochs."""
    return [look for look, position in enumerate(table.at) if float(position).is_integer()]


@dataclass
class Stopping:
    """Base of rules that end a trial for good: a trial trains on until it is stopped."""

    open: list[Slot] = field(default_factory=list)

    def looks(self, table: Table) -> set[int]:
        return set(whole_epochs(table))

    def stops(self, table: Table) -> list[int]:
        return whole_epochs(table)

    def next(self, study: Study) -> Slot | None:
        if self.open:
            return self.open.pop()
        return study.started if study.started < len(study.points) else None

    def arrived(self, study: Study, slot: Slot) -> None:
        if not self.should_stop(study, slot):
            self.open.append(slot)

    def should_stop(self, study: Study, slot: Slot) -> bool:
        """Return whether the trial ends; here it never does."""
        return False


@dataclass
class Median(Stopping):
    """Optuna's MedianPruner: after five complete trials, the median at the same step decides."""

    startup: int = 5

    def should_stop(self, study: Study, slot: Slot) -> bool:
        if len(study.complete) < self.startup:
            return False
        reached = study.reached[slot]
        seen = [study.curves[slot][look] for look in whole_epochs(study.table) if look <= reached]
        others = sorted(study.curves[other][reached] for other in study.complete)
        middle, odd = divmod(len(others), 2)
        median = others[middle] if odd else (others[middle - 1] + others[middle]) / 2
        return max(seen) < median


@dataclass
class Halving(Stopping):
    """Optuna's SuccessiveHalvingPruner, with the first rung after one epoch."""

    eta: int = 3
    rungs: dict[int, list[float]] = field(default_factory=dict)
    level: dict[Slot, int] = field(default_factory=dict)

    def should_stop(self, study: Study, slot: Slot) -> bool:
        value = study.curves[slot][study.reached[slot]]
        position = study.table.at[study.reached[slot]]
        level = self.level.get(slot, 0)
        while position >= self.eta**level:
            competing = self.rungs.setdefault(level, [])
            competing.append(value)
            kept = max(1, len(competing) // self.eta)
            if value < sorted(competing, reverse=True)[kept - 1]:
                return True
            level += 1
        self.level[slot] = level
        return False


@dataclass
class Promotion:
    """Asynchronous successive halving that pauses trials and promotes them later.

    Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020, algorithm 2.

    eta: the best 1/eta of a rung are promoted.
    r: the first rung, in epochs; `share` gives it as a share of all epochs instead, rounded to a
        quarter below one epoch, and to whole epochs above.
    finish: the number of trials that are trained to the end at least.
    value: what a rung compares: the last look, the best one so far, or the mean of the last two.
    breadth: start all trials before one is promoted.
    members: the number of trials that a rung needs before it promotes, in multiples of eta.
    deepen: which paused trial goes on when nothing else is left: the best one of the highest rung,
        the best one of all, or the one with the best extrapolation to the last epoch.
    capped: deepen no more trials at a time than are missing.
    """

    eta: int = 3
    r: float = 1.0
    finish: int = 1
    value: Literal["last", "best", "mean", "trend"] = "last"
    patience: int | None = None
    breadth: bool = False
    members: float = 1.0
    deepen: Literal["rung", "value", "log"] = "rung"
    capped: bool = False
    share: float | None = None
    reached: dict[int, list[Slot]] = field(default_factory=dict)
    promoted: dict[int, set[Slot]] = field(default_factory=dict)
    at_rung: dict[Slot, int] = field(default_factory=dict)
    values: dict[tuple[Slot, int], float] = field(default_factory=dict)

    def rungs(self, table: Table) -> list[float]:
        """Return the positions of the rungs, in epochs, without the last epoch."""
        position, found = self.first_rung(table), []
        while (rounded := position if position < 1 else round(position)) < table.epochs:
            if rounded not in found:
                found.append(rounded)
            position *= self.eta
        return found

    def first_rung(self, table: Table) -> float:
        """Return the position of the first rung, in epochs."""
        if self.share is None:
            return self.r
        wanted = self.share * table.epochs
        return max(0.25, round(4 * wanted) / 4) if wanted < 1 else round(wanted)

    def stops(self, table: Table) -> list[int]:
        return [*(table.at.index(rung) for rung in self.rungs(table)), len(table.at) - 1]

    def looks(self, table: Table) -> set[int]:
        return {*whole_epochs(table), *self.stops(table)}

    def next(self, study: Study) -> Slot | None:
        can_start = study.started < len(study.points)
        if self.breadth and can_start:
            return study.started
        slot = self._promotable(study)
        if slot is None and can_start:
            return study.started
        if slot is None:
            slot = self._deepened(study)
        if slot is not None:
            self.promoted.setdefault(self.at_rung[slot], set()).add(slot)
        return slot

    def arrived(self, study: Study, slot: Slot) -> None:
        rung = self.at_rung[slot] = self.at_rung.get(slot, -1) + 1
        self.reached.setdefault(rung, []).append(slot)
        self.values[slot, rung] = self._value(study, slot)
        study.paused.add(slot)

    def _value(self, study: Study, slot: Slot) -> float:
        """Return the value of a trial at the rung that it has come to."""
        end = study.reached[slot]
        looks = self._looks(study.table)
        seen = [study.curves[slot][look] for look in looks if look <= end]
        if self.value == "best":
            return max(seen)
        if self.value == "trend":
            return self._trend(study, slot)
        if self.value == "mean":
            return sum(seen[-2:]) / len(seen[-2:])
        return seen[-1]

    def _trend(self, study: Study, slot: Slot) -> float:
        """Return the value at the last epoch on half the slope since half the time, in log t."""
        end, at, curve = study.reached[slot], study.table.at, study.curves[slot]
        earlier = [look for look in self._looks(study.table) if at[look] <= at[end] / 2]
        if not earlier:
            return curve[end]
        slope = (curve[end] - curve[earlier[-1]]) / math.log(at[end] / at[earlier[-1]])
        return curve[end] + 0.5 * max(slope, 0.0) * math.log(study.table.epochs / at[end])

    def _looks(self, table: Table) -> list[int]:
        if not hasattr(self, "_sorted_looks"):
            self._sorted_looks = sorted(self.looks(table))
        return self._sorted_looks

    def _promotable(self, study: Study) -> Slot | None:
        for rung in sorted(self.reached, reverse=True):
            members = self.reached[rung]
            if len(members) < self.members * self.eta:
                continue
            ranked = sorted(members, key=lambda slot: -self.values[slot, rung])
            done = self.promoted.get(rung, set())
            for slot in ranked[: len(members) // self.eta]:
                if slot in study.paused and slot not in done:
                    return slot
        return None

    def _deepened(self, study: Study) -> Slot | None:
        missing = self.finish - len(study.complete)
        if self.patience is not None and study.complete:
            finals = [study.finals[slot] for slot in study.complete]
            since_best = len(finals) - 1 - finals.index(max(finals))
            missing = max(missing, self.patience - since_best)
        bar = study.best_complete
        candidates = [
            slot
            for slot in study.paused
            if missing > 0 or self.values[slot, self.at_rung[slot]] > bar
        ]
        if not candidates:
            return None
        if self.capped and len(study.running) >= max(missing, 1):
            return None
        return max(candidates, key=lambda slot: self._rank(study, slot))

    def _rank(self, study: Study, slot: Slot) -> tuple[float, ...]:
        rung = self.at_rung[slot]
        value = self.values[slot, rung]
        if self.deepen == "rung":
            return (rung, value, -slot)
        if self.deepen == "value":
            return (value, rung, -slot)
        return (self._extrapolated(study, slot), rung, -slot)

    def _extrapolated(self, study: Study, slot: Slot) -> float:
        """Return the value at the last epoch on half the slope since the rung before, in log t."""
        rung = self.at_rung[slot]
        value = self.values[slot, rung]
        if rung == 0:
            return value
        stops, at = self.stops(study.table), study.table.at
        now, before = at[stops[rung]], at[stops[rung - 1]]
        slope = (value - self.values[slot, rung - 1]) / math.log(now / before)
        return value + 0.5 * max(slope, 0.0) * math.log(study.table.epochs / now)


@dataclass(frozen=True)
class Outcome:
    """What a study cost, and the point that won.

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
    """Run a study of these points on a virtual clock."""
    study = Study(table, points)
    stops, looks = rule.stops(table), sorted(rule.looks(table))
    clock, look_cost, start = (a[points].tolist() for a in (table.clock, table.look, table.start))
    now = seconds = epochs = 0.0
    free, events, stop_of = [-1] * workers, [], {}  # type: ignore[var-annotated]
    while True:
        while free and (slot := rule.next(study)) is not None:
            resident = slot in free
            free.remove(slot if resident else free[0])
            stop = stop_of[slot] = stop_of.get(slot, -1) + 1
            before, end = study.reached.get(slot, -1), stops[stop]
            n_looks = sum(before < look <= end for look in looks)
            cost = clock[slot][end] - (clock[slot][before] if before >= 0 else 0.0)
            cost += n_looks * look_cost[slot] + (0.0 if resident else start[slot])
            epochs += table.at[end] - (table.at[before] if before >= 0 else 0.0)
            seconds += cost
            study.started = max(study.started, slot + 1)
            study.paused.discard(slot)
            study.running.add(slot)
            heapq.heappush(events, (now + cost, slot, end))
        if not events:
            break
        now, slot, end = heapq.heappop(events)
        study.running.discard(slot)
        study.reached[slot] = end
        free.append(slot)
        if end == stops[-1]:
            study.complete.append(slot)
        else:
            rule.arrived(study, slot)
    winner = max(study.complete, key=lambda slot: (study.finals[slot], -slot))
    share = epochs / (len(points) * table.epochs)
    return Outcome(seconds, now, share, len(study.complete), points[winner])
