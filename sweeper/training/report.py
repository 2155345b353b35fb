"""The connection of a run to the study that it is a trial of."""

from sweeper import trial
from sweeper.training.callback import Callback
from sweeper.training.state import RunState


class ReportToTrial(Callback):
    """Callback that reports the monitored metric every epoch.

    It stops the run if the trial is pruned, and in the middle of an epoch if a time limit has
    passed. Outside a study it does nothing.
    """

    def on_batch_end(self, state: RunState) -> None:
        if trial.must_stop_now():
            state.interrupt()

    def on_epoch_end(self, state: RunState) -> None:
        trial.report(state.value, state.epoch)
        if trial.should_stop():
            state.stop(trial.stop_reason() or "stopped by the study")
