"""Hooks into the training loop."""

from sweeper.training.state import RunState


class Callback:
    """Override what you need; every hook does nothing by itself.

    Hooks are called in the order of the list of callbacks. To end the run, call
    `state.stop("why")`: the epoch under way is finished, recorded and saved.
    """

    def on_fit_start(self, state: RunState) -> None:
        """Before the first epoch, also of a resumed run."""

    def on_epoch_start(self, state: RunState) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, state: RunState) -> None:
        """After each training batch; reading `state.meter` makes the host wait for a GPU."""

    def on_epoch_end(self, state: RunState) -> None:
        """After an epoch is validated and recorded as `state.history[-1]`."""

    def on_fit_end(self, state: RunState) -> None:
        """After the last epoch, and when the run was stopped or interrupted."""
