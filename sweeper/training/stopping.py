"""Early stopping: rules that decide from the history of a run, and the callback that applies one.

GL, PQ and UP are the criteria of L. Prechelt, "Early Stopping - But When?" (1998), section 2. They
use the losses on the training and the validation split. Epochs are counted from 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from sweeper.objectives import Direction
from sweeper.training.callback import Callback
from sweeper.training.state import RunState


@dataclass(frozen=True)
class Curves:
    """The values of a run so far, one for each epoch."""

    train_loss: Sequence[float]
    val_loss: Sequence[float]
    monitored: Sequence[float]
    direction: Direction = "maximize"


StoppingRule = Callable[[Curves], str | None]
"""A function that returns the reason to stop after the last epoch, or None to continue."""


def generalisation_loss(val_loss: Sequence[float]) -> float:
    """Return GL(t): by how much the last loss exceeds the lowest one, in percent."""
    lowest, last = min(val_loss), val_loss[-1]
    if last == lowest:
        return 0.0
    return 100.0 * (last / lowest - 1.0) if lowest > 0 else math.inf


def training_progress(train_loss: Sequence[float]) -> float:
    """Return P_k(t) of k losses: by how much their mean exceeds their minimum, in thousandths."""
    mean, lowest = math.fsum(train_loss) / len(train_loss), min(train_loss)
    if mean == lowest:
        return 0.0
    return 1000.0 * (mean / lowest - 1.0) if lowest > 0 else math.inf


def patience(curves: Curves, patience: PositiveInt, min_delta: NonNegativeFloat) -> str | None:
    """Stop if the monitored metric has not improved by over `min_delta` for `patience` epochs."""
    sign = 1.0 if curves.direction == "maximize" else -1.0
    best, stale_epochs = -math.inf, 0
    for value in curves.monitored:
        if sign * value > best + min_delta:
            best, stale_epochs = sign * value, 0
        else:
            stale_epochs += 1
    return f"no improvement for {stale_epochs} epochs" if stale_epochs >= patience else None


def gl(curves: Curves, alpha: PositiveFloat) -> str | None:
    """Stop if the generalisation loss exceeds `alpha` percent (criterion GL_alpha)."""
    loss = generalisation_loss(curves.val_loss)
    return f"generalisation loss {loss:.3g} > {alpha:g}" if loss > alpha else None


def pq(curves: Curves, alpha: PositiveFloat, strip: PositiveInt) -> str | None:
    """Stop at the end of a strip if GL(t) / P_k(t) exceeds `alpha` (criterion PQ_alpha).

    A strip has `strip` epochs.
    """
    if len(curves.val_loss) % strip:
        return None
    loss = generalisation_loss(curves.val_loss)
    progress = training_progress(curves.train_loss[-strip:])
    if loss <= alpha * progress:
        return None
    return f"generalisation loss {loss:.3g} > {alpha:g} x training progress {progress:.3g}"


def up(curves: Curves, successive: PositiveInt, strip: PositiveInt) -> str | None:
    """Stop if the validation loss rose in `successive` strips in a row (criterion UP_s).

    The losses at the ends of strips are compared; a strip has `strip` epochs.
    """
    losses = curves.val_loss
    if not losses or len(losses) % strip:
        return None
    strip_ends = losses[strip - 1 :: strip][-(successive + 1) :]
    rises = [later > earlier for earlier, later in pairwise(strip_ends)]
    if len(rises) < successive or not all(rises):
        return None
    return f"validation loss rose in {successive} successive strips of {strip} epochs"


class StopEarly(Callback):
    """Callback that stops the run when its rule returns a reason.

    A resumed run whose history already meets the rule stops before its first epoch.
    """

    def __init__(self, rule: StoppingRule) -> None:
        self._rule = rule

    def on_fit_start(self, state: RunState) -> None:
        if state.history:
            self.on_epoch_end(state)

    def on_epoch_end(self, state: RunState) -> None:
        reason = self._rule(
            Curves(
                train_loss=[epoch["train/loss"] for epoch in state.history],
                val_loss=[epoch["val/loss"] for epoch in state.history],
                monitored=[epoch[state.metric] for epoch in state.history],
                direction=state.direction,
            )
        )
        if reason is not None:
            state.stop(reason)
