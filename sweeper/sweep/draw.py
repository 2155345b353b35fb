"""Drawing the parameters of a trial, so that no two trials of a study have the same ones."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from sweeper.space.grid import Grid
from sweeper.space.live import Params
from sweeper.space.same_point import point_key
from sweeper.sweep.claim import Claim
from sweeper.sweep.draft import FIXED_PARAMS_KEY, Draft, paused_as
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.taken_points import TakenPoints

SAMPLER_ROUNDS = 10
RANDOM_ROUNDS = 100

Suggest = Callable[[optuna.Trial], Params]


@dataclass(frozen=True)
class Drawn:
    """A trial with its parameters by config key.

    Args:
        trial: The trial; its parameters are in the study's storage.
        params: Its parameters.
        original: Another trial with the same parameters, so that this one is not to be run; None if
            there is none, or if an earlier attempt at this trial has begun with them.
        is_exhausted: True if no other point was found.
    """

    trial: optuna.Trial
    params: Params
    original: FrozenTrial | None = None
    is_exhausted: bool = False


@dataclass(frozen=True)
class Drawer:
    """Draws the parameters of a study's trials.

    Args:
        study: The study.
        ledger: Its trials.
        taken: The points that its trials have.
        suggest: Function that suggests all parameters of a trial and returns them.
        points: All points of a finite space; None for another space.
    """

    study: optuna.Study
    ledger: Ledger
    taken: TakenPoints
    suggest: Suggest
    points: Grid | None

    def draw(self, claim: Claim, sampler: BaseSampler) -> Drawn:
        """Draw the trial's parameters from `sampler`, and write them to the study.

        If the sampler repeats points of the study `SAMPLER_ROUNDS` times, a finite space yields
        another point that the study does not have. In other spaces, points are drawn at random.
        If no such point has the values that are fixed for the trial, the trial repeats one.
        """
        for number in range(SAMPLER_ROUNDS if self.points else SAMPLER_ROUNDS + RANDOM_ROUNDS):
            if number == SAMPLER_ROUNDS:
                sampler = RandomSampler(seed=claim.number)
            drawn, is_final = self._try(claim, sampler)
            if is_final:
                return drawn
        stored = self.study._storage.get_trial(claim.trial_id)
        fixed = stored.system_attrs.get(FIXED_PARAMS_KEY, {}) | stored.params
        for point in self._unused_points(claim, fixed):
            drawn, is_final = self._try(claim, sampler, point)
            if is_final:
                return drawn
        if fixed:  # the study may have other points, without these values
            return drawn
        return replace(drawn, original=None, is_exhausted=True)

    def _try(
        self, claim: Claim, sampler: BaseSampler, point: Params | None = None
    ) -> tuple[Drawn, bool]:
        """Draw the parameters once; return them, and whether they were written.

        `point` holds values by Optuna's names that are used instead of drawn ones.
        """
        storage = self.study._storage
        pauses = self.ledger.budget.promotion is not None
        draft = Draft(storage, claim.trial_id, point, paused_as(sampler) if pauses else None)
        study = draft.study(self.study)
        study.sampler = sampler
        trial = optuna.Trial(study, claim.trial_id)
        params = self.suggest(trial)
        can_differ = not draft.fixed or not draft.fixed >= {*draft.params}
        original = self.taken.settle(claim, draft, again=can_differ)
        if claim.attempt and draft.is_stored:
            original = None
        trial.study, trial.storage = self.study, storage
        return Drawn(trial, params, original), original is None or not can_differ

    def _unused_points(self, claim: Claim, fixed: Params) -> Iterator[Params]:
        """Yield the points with these values that no trial has, from a random one on."""
        points = self.points or ()
        trials = self.study.get_trials(deepcopy=False)
        used = {point_key(t.params) for t in self.taken.among(trials)}
        start = random.Random(claim.number).randrange(len(points)) if points else 0
        for i in range(len(points)):
            point = points[(start + i) % len(points)]
            keeps_fixed = point_key({k: point.get(k) for k in fixed}) == point_key(fixed)
            if point_key(point) not in used and keeps_fixed:
                yield dict(point)
