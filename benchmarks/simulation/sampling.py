"""The points that the trials of a simulated study try: a given list, or those that TPE draws."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from simulation.clock import Draw, Study, Trial
from simulation.nearest import nearest
from simulation.tables import Table

FEW = 8
"""A coordinate with so many values, or fewer, is a choice."""


def listed(points: list[int]) -> Draw:
    """Return a draw of these points, in this order."""
    following = iter(points)
    return lambda study: next(following)


class TPE:
    """Optuna's TPE over the coordinates of a recorded table, with the arguments of the sweeper.

    A trial tries the recorded point that is nearest to what was drawn. TPE sees paused and stopped
    trials as pruned ones.
    """

    def __init__(self, table: Table, seed: int) -> None:
        self._rows = table.coordinates()
        self._space = {key: distribution([row[key] for row in self._rows]) for key in self._rows[0]}
        self._sampler = TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._drawn: list[dict[str, Any]] = []

    def __call__(self, study: Study) -> int:
        own = optuna.create_study(sampler=self._sampler, direction="maximize")
        own.add_trials([self._seen(study, trial) for trial in range(study.started)])
        trial = own.ask(self._space)
        self._drawn.append(trial.params)
        return nearest(self._rows, trial.params)

    def _seen(self, study: Study, trial: Trial) -> optuna.trial.FrozenTrial:
        is_complete, is_running = trial in study.complete, trial in study.running
        reached = study.reached.get(trial, -1)
        values = zip(study.table.at[: reached + 1], study.curves[trial], strict=False)
        state = TrialState.RUNNING if is_running else TrialState.PRUNED
        return create_trial(
            state=TrialState.COMPLETE if is_complete else state,
            value=study.finals[trial] if is_complete else None,
            params=self._drawn[trial],
            distributions=self._space,
            intermediate_values={round(100 * position): value for position, value in values},
        )


def distribution(values: list[float]) -> BaseDistribution:
    """Return a choice of a few values, or an interval, which is logarithmic if it is wide."""
    distinct = sorted(set(values))
    if len(distinct) <= FEW:
        return CategoricalDistribution(distinct)
    low, high = distinct[0], distinct[-1]
    return FloatDistribution(low, high, log=low > 0 and high >= 4 * low)
