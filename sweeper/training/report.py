"""What a study hears of its trial, and what the trial hears back."""

from sweeper import trial
from sweeper.training.callback import Callback
from sweeper.training.state import RunState


class ReportToTrial(Callback):
    """Reports the monitored metric every epoch, and ends the run when the study says so."""

    def on_epoch_end(self, state: RunState) -> None:
        trial.report(state.value, state.epoch)
        if trial.should_stop():
            state.stop(trial.stop_reason() or "stopped by the study")
