"""A run: training, evaluation of the best network, and the end of its record."""

import contextlib
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sweeper import trial
from sweeper.cli.interrupts import Interrupt, Interrupted, terminable
from sweeper.cli.next_steps import next_steps
from sweeper.cli.waiting import is_waiting_shown, show_progress, waiting_for, waiting_line
from sweeper.errors import CheckpointError, TrainingError
from sweeper.files import reason_of
from sweeper.objectives import SIZES, TEST, headline
from sweeper.run.closing import interrupted_line, results_table
from sweeper.run.invocation import Invocation
from sweeper.run.pictures import draw_figures
from sweeper.run.record import TrackEpochs, finish_failed
from sweeper.run.served import network_to_record, record_model
from sweeper.summary.table import Summary
from sweeper.tracking.tags import BEST_PREFIX, STATE, below_prefix
from sweeper.training.callback import Callback
from sweeper.training.checkpoint_store import CheckpointStore, SaveCheckpoints
from sweeper.training.experiment import Experiment
from sweeper.training.finetune import KeepFrozen
from sweeper.training.loop import fit
from sweeper.training.overfit import LearnByHeart
from sweeper.training.progress import progress_lines
from sweeper.training.report import ReportToTrial
from sweeper.training.scoring import Predictions, predictions_of
from sweeper.training.state import RunState
from sweeper.training.stopping import StopEarly
from sweeper.training.watch import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """An experiment that is ready to be trained, with its state and its record."""

    experiment: Experiment
    state: RunState
    store: CheckpointStore
    invocation: Invocation
    summary: Summary
    n_tracked: int
    """The number of epochs that the tracked run has already."""
    started: float
    """The value of `time.perf_counter` at the start of the command."""
    scores: dict[str, float] = field(default_factory=dict)
    """The metrics and sizes of the best network, once it is evaluated."""
    figures: dict[str, Path] = field(default_factory=dict)
    """The files of the figures by name, once they are drawn."""

    @property
    def next_steps(self) -> str:
        """What to type once the run has ended, in lines."""
        folder = self.invocation.folder
        has_events = (folder / "tensorboard").is_dir()
        with contextlib.chdir(self.invocation.start_folder):
            tracker = self.experiment.tracker
            return next_steps(folder, tracker.uri, folder if has_events else None, tracker.page)

    def execute(self) -> float | tuple[float, ...]:
        """Train, evaluate and record; return the value of the metric at the best epoch.

        With several metrics, a tuple of their values is returned.

        Raises:
            TrainingError: a loss is not finite, or the run was stopped before its first epoch.
            KeyboardInterrupt: the run was interrupted; its state is saved.
        """
        with waiting_line() if trial.info() is None else contextlib.nullcontext():
            return self._execute()

    def _execute(self) -> float | tuple[float, ...]:
        try:
            with terminable():
                self._train()
                if trial.stop_reason() is None:
                    self._evaluate()
        except BaseException as error:
            self._track_best()
            finish_failed(self.experiment.tracker, error)
            # Trials are resumed by the command of their study.
            if isinstance(error, KeyboardInterrupt) and trial.info() is None:
                command = self.invocation.resume_command(self.store.last)
                line = interrupted_line(self.state.epoch, command, self.store.saved)
                log.warning("%s", line)
            raise
        self._finish()
        values = self._values()
        return values if len(values) > 1 else values[0]

    def score(self) -> dict[str, float]:
        """Score the best network of a run that has ended on the test split, and record the scores.

        Return nothing if the data has no test split.

        Raises:
            CheckpointError: `best.pt` is missing, damaged or not that of the best epoch, or the
                checkpoints are older than the end of the run.
            TrainingError: the network cannot be recorded as a model. It can later.
        """
        tracker = self.experiment.tracker
        try:
            self._require_end()
            self.store.load_best(self.experiment, self.state)
            build = network_to_record(self.experiment, self.state, self.store)
            if build is not None:
                tracker.begin_model(build)
            scores = _test_scores(self._test_predictions())
            if scores:
                tracker.log_metrics(scores, step=self.state.epoch)
            record_model(self.experiment, self.state, build, scores)
        finally:
            self._finish_complete()
        return scores

    def _require_end(self) -> None:
        """Check that the checkpoint has the values of the trial, whose last one may be unsaved."""
        info, values = trial.info(), self._values()
        wanted = values if info is None or info.values is None else info.values
        if not np.allclose(values, wanted, rtol=1e-9, atol=0, equal_nan=True):
            raise CheckpointError(
                f"{self.store.last} is of an earlier epoch, with {list(values)} in place of "
                f"{list(wanted)}: the end of the trial could not be saved; train it again"
            )

    def _test_predictions(self) -> Predictions | None:
        """Return the predictions for the test split, or None if the data has none."""
        data = self.experiment.data
        return predictions_of(self.experiment.classifier, data.test()) if data.has_test else None

    def _train(self) -> None:
        for name, size in self._sizes().items():
            trial.note(name, size)
        if trial.should_stop():  # the size of the network may violate a constraint of the study
            return
        with Interrupt(self._request_stop) as interrupt:
            fit(self.experiment, self.state, self._callbacks())
        is_over = trial.stop_reason() in ("paused", "pruned", "infeasible")
        if self.state.interrupted and self.state.epoch < self.state.epochs and not is_over:
            raise Interrupted(interrupt.number)

    def _request_stop(self) -> None:
        log.warning("interrupted: saving after this batch; interrupt again to end at once")
        self.state.interrupt()

    def _callbacks(self) -> list[Callback]:
        """Return the callbacks in the order in which the loop calls them."""
        experiment, trainer = self.experiment, self.experiment.trainer
        frozen = KeepFrozen(experiment.model, trainer.freeze, trainer.unfreeze_at)
        watch = Watch(experiment, self.invocation.folder / "watch")
        return [
            *([frozen] if trainer.freeze else []),
            # A run that is killed after tracking an epoch but before saving its checkpoint would
            # track the epoch twice, so nothing slow, such as drawing, may come between the two.
            *([watch] if experiment.watch.enabled else []),
            TrackEpochs(experiment.tracker, self.n_tracked),
            *([StopEarly(experiment.stopping)] if experiment.stopping else []),
            *experiment.callbacks,
            *([LearnByHeart(experiment)] if trainer.overfit else []),
            # What may end the run comes before the study's decision and the checkpoint.
            ReportToTrial(experiment),
            SaveCheckpoints(self.store, experiment),
            progress_lines(show_progress if is_waiting_shown() else None),
        ]

    def _evaluate(self) -> None:
        """Evaluate the best network; a run outside a study uses the test split only here."""
        experiment, state = self.experiment, self.state
        if state.best_epoch is None:
            raise TrainingError(f"the run ended before its first epoch: {state.stop_reason}")
        waiting_for("reading the network of the best epoch")
        self._write_best()
        self.store.load_best(experiment, state)
        best = state.history[state.best_epoch - 1]
        shown = {*experiment.settings.metrics, headline(experiment.data.profile.label_type)}
        names = sorted(shown & best.keys())  # sizes of the network are no metrics of an epoch
        scores = {f"{BEST_PREFIX}{below_prefix(name)}": best[name] for name in names}
        scores |= self._sizes()
        waiting_for("scoring the test images")
        # Of a study, the winner alone is scored on the test split, when the search is over.
        test = self._test_predictions() if trial.info() is None else None
        scores |= _test_scores(test)
        self.scores.update(scores)
        experiment.tracker.log_metrics(scores, step=state.epoch)
        self._track_best()
        figures = experiment.settings.figures
        if figures is True or (figures == "auto" and trial.info() is None):
            waiting_for("drawing figures")
            val = predictions_of(experiment.classifier, experiment.data.val())
            self._draw(val, test)
        log.info("%s", results_table(state, scores, self.started, self.invocation.folder))
        if trial.info() is None:
            build = network_to_record(experiment, state, self.store)
            try:
                record_model(experiment, state, build, _test_scores(test))
            except TrainingError as error:
                log.warning("%s", error)

    def _write_best(self) -> None:
        """Write `best.pt` if it is not written yet; the evaluation does not need the file."""
        try:
            self.store.write_best()
        except OSError as error:
            log.warning(
                "%s cannot be written (%s): the results are right, but the network is not kept",
                self.store.best,
                reason_of(error),
            )

    def _draw(self, val: Predictions, test: Predictions | None) -> None:
        folder = self.invocation.folder / "figures"
        try:
            for path in draw_figures(
                self.experiment, self._network(), self.state, val, test, folder
            ):
                self.experiment.tracker.log_artifact(path, "figures")
                self.figures[path.stem] = path
        except OSError as error:
            log.warning("figures cannot be written to %s (%s)", folder, reason_of(error))

    def _network(self) -> str:
        """Return the name of the network: its option, or its class if it is written out."""
        option = self.invocation.choices.get("model", "inline")
        return type(self.experiment.model).__name__ if option == "inline" else option

    def _finish(self) -> None:
        tracker, reason = self.experiment.tracker, trial.stop_reason()
        if tracker.uri is not None:
            waiting_for(f"handing the run to {tracker.uri}")
        if reason is None:
            self._finish_complete()
        else:
            tracker.set_tags({STATE: reason})
            tracker.finish("KILLED", reason)

    def _finish_complete(self) -> None:
        """End the record; that of an earlier attempt may say `paused`, or nothing."""
        tracker = self.experiment.tracker
        if trial.info() is not None:
            tracker.set_tags({STATE: "complete"})
        tracker.finish("FINISHED", self.state.stop_reason or "")

    def _track_best(self) -> None:
        # Without a best epoch the file belongs to another run.
        if self.state.best_epoch is not None and self.store.has_best:
            self.experiment.tracker.log_artifact(self.store.best, "checkpoints")

    def _values(self) -> tuple[float, ...]:
        """Return the metrics at the best epoch, or nan if a trial was stopped before its first."""
        state = self.state
        best = {} if state.best_epoch is None else state.history[state.best_epoch - 1]
        values = best | self._sizes()
        return tuple(values.get(name, math.nan) for name in self.experiment.settings.metrics)

    def _sizes(self) -> dict[str, float]:
        counts = (self.summary.parameters, self.summary.multiply_adds)
        return dict(zip(SIZES, counts, strict=True))


def _test_scores(test: Predictions | None) -> dict[str, float]:
    metrics = {} if test is None else test.metrics
    return {f"{TEST}{name}": value for name, value in metrics.items()}
