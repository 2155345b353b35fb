"""The connection of a run to the study that it is a trial of."""

from sweeper import trial
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.scoring import measure
from sweeper.training.seeding import preserved_rng_state
from sweeper.training.state import RunState

MIN_IMAGES = 2_000
"""Number of training images before the first look: after fewer, a network has hardly learnt."""


class ReportToTrial(Callback):
    """Callback that reports the monitored metric every epoch.

    It stops the run if the trial is pruned or paused, and in the middle of an epoch if a time limit
    has passed. Where the study decides on the trial within an epoch, the network is evaluated there
    too; that changes nothing in the run. Outside a study the callback does nothing.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._looks: dict[int, float] = {}

    def on_epoch_start(self, state: RunState) -> None:
        self._looks = self._looks_of_epoch(state)

    def on_batch_end(self, state: RunState) -> None:
        if trial.must_stop_now():
            state.interrupt()
        elif state.batch in self._looks:
            value = measure_aside(self._experiment)[state.metric.removeprefix("val/")]
            trial.report(value, self._looks[state.batch], length=state.epochs)
            if _is_stopped(state):
                state.interrupt()

    def on_epoch_end(self, state: RunState) -> None:
        trial.report(state.value, state.epoch, length=state.epochs)
        if _is_stopped(state):
            state.stop(trial.stop_reason() or "stopped by the study")

    def _looks_of_epoch(self, state: RunState) -> dict[int, float]:
        """Return the positions within the epoch at which the study decides, by their batch."""
        looks: dict[int, float] = {}
        if not self._can_look(state):
            return looks
        n_images = self._experiment.data.sizes["train"]
        rung = trial.next_rung(state.epoch, state.epochs)
        while rung is not None and rung < state.epoch + 1:
            batch = round((rung - state.epoch) * state.steps_per_epoch)
            if state.batch < batch < state.steps_per_epoch and rung * n_images >= MIN_IMAGES:
                looks[batch] = rung
            rung = trial.next_rung(rung, state.epochs)
        return looks

    def _can_look(self, state: RunState) -> bool:
        """Return whether the metric can be measured within an epoch, and cheaply."""
        needs_training_images = self._experiment.adapter.needs_training_outputs
        return state.metric.startswith("val/") and not needs_training_images


def _is_stopped(state: RunState) -> bool:
    """Return whether the study stops a run that has not ended by itself.

    One that a rule has ended is complete. If it were paused here, it would be trained further.
    """
    return state.stop_reason is None and trial.should_stop()


def measure_aside(experiment: Experiment) -> dict[str, float]:
    """Return what `measure` does for the validation split, in the middle of an epoch.

    The modes of the network's modules and the random number generators are as they were.
    """
    modes = [(module, module.training) for module in experiment.model.modules()]
    with preserved_rng_state():
        measured = measure(experiment.classifier, experiment.data.val())
    for module, training in modes:
        module.training = training
    return measured
