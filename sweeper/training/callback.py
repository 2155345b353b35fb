"""The base class of callbacks, with a hook for each point of the training loop."""

from sweeper.training.state import RunState


class Callback:
    """Base class of callbacks. Every hook does nothing by default; override those that you need.

    The loop calls the callbacks in the order of their list. To end the run, call
    `state.stop("reason")`: the loop finishes, records and saves the current epoch first.
    """

    def on_fit_start(self, state: RunState) -> None:
        """Act before the first epoch, also when the run is resumed."""

    def on_epoch_start(self, state: RunState) -> None:
        """Act before the first batch of an epoch."""

    def on_batch_end(self, state: RunState) -> None:
        """Act after a training batch. Reading `state.meter` makes the host wait for a GPU."""

    def on_epoch_end(self, state: RunState) -> None:
        """Act after an epoch was validated and recorded as `state.history[-1]`."""

    def on_fit_end(self, state: RunState) -> None:
        """Act after the last epoch, also when the run was stopped or interrupted."""
