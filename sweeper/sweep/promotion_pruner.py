"""The pruner option `promotion`: Optuna's interface to the rule of promotion."""

import math
from dataclasses import replace

from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeper.sweep.curve import curve_of
from sweeper.sweep.promotion import Halving, Promotion


class PromotionPruner(BasePruner):
    """Pruner that pauses trials at rungs, and promotes the best of them later.

    Optuna's pruners can only stop a trial. Workers of this sweeper pause it, and ask `rule` which
    trial goes on. Under any other loop, such as Optuna's own, it is stopped.

    Args:
        reduction_factor: Inverse of the fraction of trials that go on at a rung.
        min_resource: Position of the first rung, in epochs; `auto` for a twentieth of a trial.
        finish: Number of trials that are trained to their end, at least.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, reduction_factor: int = 3, min_resource: float | str = "auto", finish: int = 2
    ) -> None:
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, but got {reduction_factor}")
        first = None if min_resource == "auto" else min_resource
        if isinstance(first, str) or not 0 < (first or 1) < math.inf or first == 0:
            raise ValueError(f"min_resource must be auto or above 0, but got {min_resource}")
        if finish < 1:
            raise ValueError(f"finish must be at least 1, but got {finish}")
        self._rule = Promotion(reduction_factor, first, finish)

    def rule(self, maximize: bool, pauses: bool | None = None) -> Promotion:
        """Return the rule; `pauses` is that of `Promotion`."""
        return replace(self._rule, maximize=maximize, pauses=pauses)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial stops, if it has reached a rung with its last report."""
        rule = self.rule(study.direction == StudyDirection.MAXIMIZE)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        halving = Halving(rule, sorted([*others, trial], key=lambda t: t.number))
        positions = [0.0, 0.0, *(epochs for epochs, _ in curve_of(trial))]
        n_before, n_now = (halving.rungs.n_reached(epochs) for epochs in positions[-2:])
        return n_now > n_before and not halving.goes_on(trial, has_room=True, pauses=False)
