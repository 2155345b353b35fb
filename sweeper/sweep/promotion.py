"""Asynchronous successive halving that pauses trials and promotes them later.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020), algorithm 2; then a race
of the trials that have passed its last rung. Decisions are derived from the trials in the storage
alone, so any worker on any host can make them.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, takewhile

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import GROWN_KEY, Look, Place, curve_of, is_paused, seconds_of
from sweeper.sweep.stop_rule import is_feasible

EPSILON = 1e-9  # epochs
# Position of the first rung as a fraction of a trial, if nothing else was asked for. The rungs of
# the race are as far apart.
FIRST_RUNG = 0.05
PARTS_OF_EPOCH = 4  # the first rung lies at a whole number of them
# How much longer the foremost trial may need than was reckoned, before the time limit.
MARGIN = 1.5
# Number of trials that come into the race beside those that finish.
SPARE = 1


@dataclass(frozen=True)
class Promotion:
    """The rule by which trials are paused and promoted.

    A trial is paused at a rung unless it is among the best `1 / reduction_factor` of the trials
    that have reached this rung. A worker without a trial promotes such a trial, else it starts a
    new one. Once there is no new one to start, it trains the foremost paused trials on.

    Beyond the last rung of halving the trials race for `finish` places. Each epoch, or each
    twentieth of a long trial, ends with a rung at which the best `finish` go on of those that have
    come as far. At least one trial more than there are places comes into the race.

    Args:
        reduction_factor: Inverse of the fraction of trials that go on at a rung; eta in the paper.
        min_resource: Position of the first rung, in epochs; None for a twentieth of a trial. The
            others follow in a geometric sequence. From one epoch on they are whole epochs.
        finish: Number of trials that are trained to their end, at least.
        maximize: True if a higher value is better.
        pauses: False if no trial is paused, True if each may be. None: a trial may be paused if
            its task reads `resume_folder`.
        length: Number of epochs of a trial, if the user has named it.
        config_length: Number of epochs that the config names. What a trial tells counts before it.
        repeats: Number of runs that a trial has, each with another seed. It is paused in the first.
        grown: Values of the config keys that a later command may raise. A complete trial with a
            lower value counts as one that is not trained to its end.
    """

    reduction_factor: int = 3
    min_resource: float | None = None
    finish: int = 2
    maximize: bool = False
    pauses: bool | None = None
    length: float | None = None
    config_length: float | None = None
    repeats: int = 1
    grown: tuple[tuple[str, float], ...] = ()

    def length_in(self, trials: Iterable[FrozenTrial]) -> float | None:
        """Return the number of epochs of a study's trials; None if it is not known.

        Without a number in the settings, it is the highest one that a trial has told, else that of
        the config, else that of the longest complete trial.
        """
        if self.length is not None:
            return self.length
        seen = list(trials)
        told = [each for each in (Place.of(t).length for t in seen) if each is not None]
        if told or self.config_length is not None:
            return max(told, default=self.config_length)
        complete = (t for t in seen if t.state == TrialState.COMPLETE and t.intermediate_values)
        return max((float(len(t.intermediate_values)) for t in complete), default=None)

    def has_shorter_run(self, trial: FrozenTrial) -> bool:
        """Return whether a trial was run before a later command raised its number of epochs."""
        values = trial.user_attrs.get(GROWN_KEY, {})
        return any(values.get(key, value) < value for key, value in self.grown)

    def rungs(self, length: float | None) -> "Rungs":
        """Return the rungs; `length` is the number of epochs of a trial, None if not known."""
        if self.min_resource is not None:
            return Rungs(self.min_resource, self.reduction_factor, length)
        first = 1.0
        if length is not None:
            first = max(round(FIRST_RUNG * length * PARTS_OF_EPOCH), 1) / PARTS_OF_EPOCH
        return Rungs(first, self.reduction_factor, length)


@dataclass(frozen=True)
class Rungs:
    """The positions at which the trials of a study are compared, in epochs.

    Args:
        first: Position of the first one.
        factor: How much further each rung of halving lies than the one before.
        length: Number of epochs of a trial. The rungs of the race follow the last one of halving
            before its end. If it is None, there is no race.
    """

    first: float
    factor: int
    length: float | None = None

    @cached_property
    def _n_of_halving(self) -> int:
        """Number of rungs of halving before the end of a trial; 0 if its length is not known."""
        index = 0
        while self.length is not None and self._of_halving(index) < self.length:
            index += 1
        return index

    @cached_property
    def has_race(self) -> bool:
        """True if a rung of the race lies before the end of a trial."""
        first = self._n_of_halving
        return self.length is not None and first > 0 and self._of_race(first) < self.length

    def is_in_race(self, index: int) -> bool:
        """Return whether a rung is one of the race."""
        return self.has_race and index >= self._n_of_halving

    def at(self, index: int) -> float:
        """Return the position of a rung."""
        return self._of_race(index) if self.is_in_race(index) else self._of_halving(index)

    def n_reached(self, epochs: float) -> int:
        """Return the number of rungs at or before a position."""
        index = bisect_right(self._before_end, epochs + EPSILON)
        while index >= len(self._before_end) and self.at(index) <= epochs + EPSILON:
            index += 1
        return index

    def next_after(self, epochs: float) -> float:
        """Return the position of the first rung after another position."""
        return self.at(self.n_reached(epochs))

    @cached_property
    def _before_end(self) -> list[float]:
        """The positions before the end of a trial; none if its length is not known."""
        length = self.length or 0.0
        return list(takewhile(lambda position: position < length, map(self.at, count())))

    def _of_halving(self, index: int) -> float:
        position = self.first * self.factor**index
        return position if position < 1 else float(round(position))

    def _of_race(self, index: int) -> float:
        assert self.length is not None
        last = self._n_of_halving - 1
        step = max(1, round(FIRST_RUNG * self.length))
        return float(int(self._of_halving(last)) + step * (index - last))


@dataclass(frozen=True, eq=False)
class Contender:
    """A trial as the rule sees it.

    Args:
        trial: The trial.
        looks: Its curve.
        n_rungs: Number of rungs that it has reached.
        n_decided: Number of rungs up to the last one at which it was to go on.
        is_paused: True if it waits for its promotion.
        is_complete: True if it was trained to its end, and has reported values. False if a later
            command has raised the number of epochs.
    """

    trial: FrozenTrial
    looks: Sequence[Look]
    n_rungs: int
    n_decided: int
    is_paused: bool
    is_complete: bool

    @property
    def epochs(self) -> float:
        """Number of epochs after which it reported its last value."""
        return self.looks[-1][0] if self.looks else 0.0

    @property
    def is_running(self) -> bool:
        """True if a worker has it, or had it and put it back."""
        return not self.is_paused and not self.trial.state.is_finished()


class Halving:
    """The trials of a study, compared at its rungs.

    Args:
        rule: The rule of promotion.
        trials: The trials in the order of their numbers.
    """

    def __init__(self, rule: Promotion, trials: Iterable[FrozenTrial]) -> None:
        own = [t for t in trials if t.state != TrialState.FAIL and is_feasible(t)]
        self._rule, self._length = rule, rule.length_in(own)
        self.rungs = rule.rungs(self._length)
        self._contenders = [self._contender(t) for t in own]

    def next_trial(self, has_room: bool) -> FrozenTrial | None:
        """Return the paused trial that a worker without a trial goes on with, or None.

        `has_room` is True if the study has a trial to start.
        """
        promoted = self._promotable()
        if promoted is None and not has_room:
            promoted = self._to_finish(self._contenders)
        return None if promoted is None else promoted.trial

    def goes_on(self, trial: FrozenTrial, has_room: bool) -> bool:
        """Return whether a running trial that has reached its rung goes on at once."""
        if self._is_pilot(trial):
            return True
        own = replace(self._contender(trial), is_paused=True)
        others = [s for s in self._contenders if s.trial.number != trial.number]
        is_in_top = own in self._top(own.n_rungs - 1, [*others, own])
        return is_in_top or (not has_room and self._to_finish([*others, own]) is own)

    def foremost(self) -> FrozenTrial | None:
        """Return the trial that has come furthest, and of these the best, if it is not complete.

        None if a trial is complete whose value no other one surpasses.
        """
        going = [s for s in self._contenders if s.looks and not s.trial.state.is_finished()]
        first = max(going, key=self._order, default=None)
        complete = [self._best_score(s) for s in self._contenders if s.is_complete]
        if first is None or (complete and max(complete) >= self._best_score(first)):
            return None
        return first.trial

    def seconds_to_finish(self, trial: FrozenTrial, now: float) -> float:
        """Return the time that an unfinished trial needs to its end, with a margin, in seconds.

        Where the length of a trial is not known, it reaches to the next rung. The first seed
        alone reports epochs, so the time of the others is counted in full. Without an epoch whose
        time is known it is 0. `now` is in seconds since 1970.
        """
        own = self._contender(trial)
        length = self._length or self.rungs.next_after(own.epochs)
        # A running trial has come further than to its last report, by less than one more.
        further = 0.0
        if own.is_running:
            further = own.epochs - (own.looks[-2][0] if len(own.looks) > 1 else 0.0)
        timed = own.epochs + further - Place.of(trial).untimed
        if timed <= EPSILON:
            return 0.0
        seconds_per_epoch = seconds_of(trial, now) / timed
        return MARGIN * seconds_per_epoch * max(0.0, self._rule.repeats * length - own.epochs)

    def _contender(self, trial: FrozenTrial) -> Contender:
        looks = curve_of(trial)
        n_rungs = self.rungs.n_reached(looks[-1][0]) if looks else 0
        is_complete = trial.state == TrialState.COMPLETE and bool(looks)
        is_complete = is_complete and not self._rule.has_shorter_run(trial)
        n_decided = self.rungs.n_reached(Place.of(trial).decided_at)
        return Contender(trial, looks, n_rungs, n_decided, is_paused(trial), is_complete)

    def _is_pilot(self, trial: FrozenTrial) -> bool:
        """Return whether a trial is the first one, and is to show how long a trial is."""
        is_known = self._rule.min_resource is not None or self._length is not None
        numbers = (s.trial.number for s in self._contenders)
        return not is_known and trial.number == min(numbers, default=trial.number)

    def _promotable(self) -> Contender | None:
        """Return the best paused trial that is in the top of its rung, the highest rung first."""
        paused = [s for s in self._contenders if s.is_paused]
        for rung in sorted({s.n_rungs - 1 for s in paused if s.n_rungs}, reverse=True):
            for contender in self._top(rung, self._contenders):
                if contender.is_paused and contender.n_rungs == rung + 1:
                    return contender
        # A trial that was paused before the length was known may lie before the first rung.
        return next((s for s in paused if not s.n_rungs), None)

    def _top(self, rung: int, contenders: Sequence[Contender]) -> list[Contender]:
        """Return the trials that may go on from a rung, the best one first."""
        members = [s for s in contenders if s.n_rungs > rung or s.is_complete]
        position, in_race = self.rungs.at(rung), self.rungs.is_in_race(rung)
        score = self._best_score_until if in_race else self._score_at
        members.sort(key=lambda s: (-score(position, s), s.trial.number))
        if in_race:
            return members[: self._rule.finish]
        return members[: len(members) // self._rule.reduction_factor]

    def _to_finish(self, contenders: Sequence[Contender]) -> Contender | None:
        """Return the paused trial that is trained on once there is no trial to start."""
        paused = [s for s in contenders if s.is_paused]
        if not paused:
            return None
        complete = [s for s in contenders if s.is_complete]
        waiting = [s for s in paused if not self.rungs.is_in_race(s.n_rungs - 1)]
        first = max(waiting, key=self._order, default=None)
        # Those that run towards a higher rung than that of the first will be ahead of it.
        ahead = 0 if first is None else first.n_rungs
        running = [s for s in contenders if s.is_running and s.n_decided >= ahead]
        n_behind = len(paused) - len(waiting)  # in the race
        n_in_race = len(complete) + len(running) + n_behind
        n_wanted = self._rule.finish + (SPARE if self.rungs.has_race else 0)
        if first is not None and n_in_race < n_wanted:
            return first
        best = max(paused, key=self._best_score)
        scores = map(self._best_score, [*complete, *running])
        return best if self._best_score(best) > max(scores, default=-math.inf) else None

    def _order(self, contender: Contender) -> tuple[int, float, int]:
        return contender.n_rungs, self._last_score(contender), -contender.trial.number

    def _score_at(self, position: float, contender: Contender) -> float:
        """Return the score of the first value at or after a position; higher is better."""
        values = (value for epochs, value in contender.looks if epochs >= position - EPSILON)
        return self._score(next(values, contender.looks[-1][1]))

    def _best_score_until(self, position: float, contender: Contender) -> float:
        """Return the score of the best value at or before a position."""
        values = (value for epochs, value in contender.looks if epochs <= position + EPSILON)
        return max(map(self._score, values), default=-math.inf)

    def _last_score(self, contender: Contender) -> float:
        return self._score(contender.looks[-1][1]) if contender.looks else -math.inf

    def _best_score(self, contender: Contender) -> float:
        """Return the score of a trial's best report; what its task returns may be anything else."""
        return max((self._score(value) for _, value in contender.looks), default=-math.inf)

    def _score(self, value: float) -> float:
        if math.isnan(value):
            return -math.inf
        return value if self._rule.maximize else -value
