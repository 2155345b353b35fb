"""When to stop early: pure functions of the history of a run.

GL, PQ and UP are the criteria of L. Prechelt, "Early Stopping - But When?" (1998), section 2,
on the losses of the training and the validation set. Epochs are counted from 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from sweeper.objectives import Direction
from sweeper.training.callback import Callback
from sweeper.training.state import RunState


@dataclass(frozen=True)
class Curves:
    """What a run has measured so far, one value an epoch."""

    train_loss: Sequence[float]
    val_loss: Sequence[float]
    monitored: Sequence[float]
    direction: Direction = "maximize"


StoppingRule = Callable[[Curves], str | None]
"""Returns the reason to stop after the last epoch, or None to go on."""


def generalisation_loss(val_loss: Sequence[float]) -> float:
    """Return GL(t): how far the last loss lies above the lowest, in percent."""
    lowest, last = min(val_loss), val_loss[-1]
    if last == lowest:
        return 0.0
    return 100.0 * (last / lowest - 1.0) if lowest > 0 else math.inf


def training_progress(train_loss: Sequence[float]) -> float:
    """Return P_k(t) of a strip of k losses: how far their mean exceeds their minimum, in 1/1000."""
    mean, lowest = math.fsum(train_loss) / len(train_loss), min(train_loss)
    if mean == lowest:
        return 0.0
    return 1000.0 * (mean / lowest - 1.0) if lowest > 0 else math.inf


def patience(curves: Curves, patience: PositiveInt, min_delta: NonNegativeFloat) -> str | None:
    """Stop when the monitored metric has not improved by more than `min_delta` for long."""
    sign = 1.0 if curves.direction == "maximize" else -1.0
    best, since = -math.inf, 0
    for value in curves.monitored:
        if sign * value > best + min_delta:
            best, since = sign * value, 0
        else:
            since += 1
    return f"no improvement for {since} epochs" if since >= patience else None


def gl(curves: Curves, alpha: PositiveFloat) -> str | None:
    """GL_alpha: stop when the generalisation loss exceeds `alpha` percent."""
    loss = generalisation_loss(curves.val_loss)
    return f"generalisation loss {loss:.3g} > {alpha:g}" if loss > alpha else None


def pq(curves: Curves, alpha: PositiveFloat, strip: PositiveInt) -> str | None:
    """PQ_alpha: stop at the end of a strip when GL(t) / P_k(t) exceeds `alpha`."""
    if len(curves.val_loss) % strip:
        return None
    loss = generalisation_loss(curves.val_loss)
    progress = training_progress(curves.train_loss[-strip:])
    if loss <= alpha * progress:
        return None
    return f"generalisation loss {loss:.3g} > {alpha:g} x training progress {progress:.3g}"


def up(curves: Curves, successive: PositiveInt, strip: PositiveInt) -> str | None:
    """UP_s: stop when the validation loss has risen from strip to strip, s times in a row."""
    losses = curves.val_loss
    if not losses or len(losses) % strip:
        return None
    ends = losses[strip - 1 :: strip][-(successive + 1) :]
    if len(ends) <= successive or any(b <= a for a, b in zip(ends, ends[1:], strict=False)):
        return None
    return f"validation loss rose in {successive} successive strips of {strip} epochs"


class StopEarly(Callback):
    """Ends the run when a stopping rule says so, also when a resumed run has got there already."""

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
