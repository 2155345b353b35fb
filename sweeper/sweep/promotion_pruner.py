"""The pruner option `promotion`: Optuna's interface to the rule of promotion."""

import math
from dataclasses import replace

from optuna import Study
from optuna.pruners import BasePruner, MedianPruner
from optuna.trial import FrozenTrial

from sweeper.sweep.promotion import Promotion


class PromotionPruner(BasePruner):
    """Pruner that pauses trials at rungs, and promotes the best of them later.

    Optuna's pruners can only stop a trial. Workers of this sweeper ask `rule` which trial is paused
    and which one goes on. A trial that cannot go on once it has stopped is pruned as by Optuna's
    `MedianPruner`, and so is every trial under another loop, such as Optuna's own.

    Args:
        reduction_factor: Inverse of the fraction of trials that go on at a rung.
        min_resource: Position of the first rung, in epochs; `auto` for a twentieth of a trial.
        finish: Number of trials that are trained to their end, at least. The trials beyond the last
            rung race for these places.
        max_resource: Number of epochs of a trial; `auto` for what the config says, see
            `settings.pruning`, or else what the first trials show.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        reduction_factor: int = 3,
        min_resource: float | str = "auto",
        finish: int = 2,
        max_resource: float | str = "auto",
    ) -> None:
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, but got {reduction_factor}")
        if finish < 1:
            raise ValueError(f"finish must be at least 1, but got {finish}")
        first, length = (
            _position("min_resource", min_resource),
            _position("max_resource", max_resource),
        )
        self._rule = Promotion(reduction_factor, first, finish, length=length)
        self._median = MedianPruner()

    def rule(self, maximize: bool, pauses: bool | None = None) -> Promotion:
        """Return the rule; `pauses` is that of `Promotion`."""
        return replace(self._rule, maximize=maximize, pauses=pauses)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial that cannot be paused is stopped."""
        return self._median.prune(study, trial)


def _position(name: str, value: float | str) -> float | None:
    if value == "auto":
        return None
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be auto or above 0, but got {value}")
    return float(value)
