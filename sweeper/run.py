"""One run: train an experiment, score its best network, and record both."""

import contextlib
import logging
import math
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper import trial
from sweeper.build import build
from sweeper.errors import TrainingError
from sweeper.models.summary import Summary, summarise
from sweeper.objectives import SIZES, headline
from sweeper.tracking.tracker import Resumed, RunInfo
from sweeper.training import record
from sweeper.training.checkpoint import CheckpointStore, SaveCheckpoints, resumed_checkpoint
from sweeper.training.evaluate import predict
from sweeper.training.experiment import Experiment
from sweeper.training.finetune import KeepFrozen
from sweeper.training.interrupt import interruptible, terminable
from sweeper.training.loop import fit
from sweeper.training.pictures import draw_figures
from sweeper.training.progress import EpochLines, progress
from sweeper.training.report import ReportToTrial
from sweeper.training.state import RunState
from sweeper.training.stopping import StopEarly
from sweeper.training.watch import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invocation:
    """How a run was asked for, and where it works."""

    choices: Mapping[str, str]
    """The option of each group."""
    overrides: Sequence[str]
    arguments: Sequence[str]
    """The command line after `python -m sweeper`."""
    folder: Path
    """Of this run."""
    start_folder: Path
    """That the command was started in; relative paths in the config start there."""


@dataclass(frozen=True)
class Run:
    """An experiment that is about to be trained, and where it stands."""

    experiment: Experiment
    state: RunState
    store: CheckpointStore
    invocation: Invocation
    summary: Summary
    recorded: int
    """Epochs that the tracked run has already."""
    started: float

    def execute(self) -> float | tuple[float, ...]:
        """Train, score and record; return the best of the metric, or each of the metrics.

        Raises:
            TrainingError: the loss is not finite.
            KeyboardInterrupt: the run was interrupted; what it got to is saved.
        """
        tracker, display = self.experiment.tracker, progress()
        try:
            with terminable():
                self._train(display)
                if trial.stop_reason() is None:
                    self._conclude()
        except KeyboardInterrupt:
            self._track_best()
            tracker.finish("KILLED", "interrupted")
            self._say_how_to_resume()
            raise
        except BaseException as error:
            self._track_best()
            tracker.finish("FAILED", str(error) or type(error).__name__)
            raise
        finally:
            display.close()
        self._finish()
        values = self._values()
        return values if len(values) > 1 else values[0]

    def _finish(self) -> None:
        tracker, reason = self.experiment.tracker, trial.stop_reason()
        if reason is None:
            tracker.finish("FINISHED", self.state.stop_reason or "")
        else:
            tracker.set_tags({"sweeper.state": reason})
            tracker.finish("KILLED", reason)

    def _values(self) -> tuple[float, ...]:
        """Return the metrics at the best epoch; a trial that was stopped may have none."""
        state, sizes = self.state, self._sizes()
        best = {} if state.best_epoch is None else state.history[state.best_epoch - 1]
        known = best | sizes
        return tuple(known.get(name, math.nan) for name in self.experiment.settings.metrics)

    def _sizes(self) -> dict[str, float]:
        counted = (self.summary.parameters, self.summary.multiply_adds)
        return dict(zip(SIZES, counted, strict=True))

    def _train(self, display: EpochLines) -> None:
        experiment, trainer = self.experiment, self.experiment.trainer
        frozen = KeepFrozen(experiment.model, trainer.freeze, trainer.unfreeze_at)
        watch = Watch(experiment, self.invocation.folder / "watch")
        callbacks = [
            *([frozen] if trainer.freeze else []),
            # Drawing takes its time: killed between an epoch's record and its checkpoint, a run
            # would train the epoch again and record it twice.
            *([watch] if experiment.watch.on else []),
            record.TrackEpochs(experiment.tracker, self.recorded),
            *([StopEarly(experiment.stopping)] if experiment.stopping else []),
            *experiment.callbacks,
            ReportToTrial(),
            SaveCheckpoints(self.store, experiment),
            display,
        ]
        for name, size in self._sizes().items():
            trial.note(name, size)
        if trial.should_stop():  # a bound on the network's size is known to be broken
            return
        with interruptible(self.state):
            fit(experiment, self.state, callbacks)
        if self.state.interrupted and self.state.epoch < self.state.epochs:
            raise KeyboardInterrupt

    def _conclude(self) -> None:
        """Score the best network, on the test split for the first and only time."""
        experiment, state = self.experiment, self.state
        if state.best_epoch is None:
            raise TrainingError(f"the run ended before its first epoch: {state.stop_reason}")
        self.store.load_best(experiment)
        best = state.history[state.best_epoch - 1]
        monitored = {state.metric, headline(experiment.data.label_type)}
        outcome = {f"best/{name.replace('/', '_')}": best[name] for name in sorted(monitored)}
        outcome |= self._sizes()
        final = None
        if experiment.data.has_test:
            final = predict(experiment.kept, experiment.data.test())
            outcome |= {f"test/{name}": value for name, value in final.metrics.items()}
        experiment.tracker.log_metrics(outcome, step=state.epoch)
        self._track_best()
        figures = experiment.settings.figures
        if figures is True or (figures == "auto" and trial.info() is None):
            val = predict(experiment.kept, experiment.data.val())
            place = self.invocation.folder / "figures"
            for path in draw_figures(experiment, state, val, final or val, place):
                experiment.tracker.log_artifact(path, "figures")
        log.info("%s", self._summary(best, outcome))

    def _track_best(self) -> None:
        if self.state.best_epoch is not None:  # else what lies there is of another run
            self.experiment.tracker.log_artifact(self.store.best, "checkpoints")

    def _summary(self, best: Mapping[str, float], outcome: Mapping[str, float]) -> str:
        rows = [("best epoch", f"{self.state.best_epoch} of {self.state.epoch}")]
        if self.state.stop_reason:
            rows.append(("stopped", self.state.stop_reason))
        rows += [(name, f"{value:.4f}") for name, value in best.items() if name.startswith("val/")]
        rows += [(k, f"{v:.4f}") for k, v in outcome.items() if k.startswith("test/")]
        rows.append(("seconds", f"{time.perf_counter() - self.started:.1f}"))
        rows.append(("artifacts", str(self.invocation.folder)))
        width = max(13, *(len(name) for name, _ in rows)) + 1
        return "\n" + "\n".join(f"{n.replace('/', ' '):<{width}}{value}" for n, value in rows)

    def _say_how_to_resume(self) -> None:
        if trial.info() is not None:
            return  # the same command goes on with the whole study
        if not self.state.epoch and not self.state.batch:
            log.warning("interrupted before anything was saved")
            return
        kept = [a for a in self.invocation.arguments if not a.startswith("resume=")]
        command = ["python", "-m", "sweeper", *kept, f"resume={hydra_value(self.store.last)}"]
        told = (self.state.epoch, shlex.join(command))
        log.warning("interrupted after epoch %d; to go on:\n  %s", *told)


def hydra_value(path: Path | str) -> str:
    """Return a path as Hydra's override grammar takes it, quoted where it must be."""
    text = str(path)
    if re.fullmatch(r"[\w/.:+\-]+", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def prepare(cfg: DictConfig, invocation: Invocation) -> Run:
    """Build the experiment of a composed config, take up a checkpoint, and start its record.

    Raises:
        SweeperError: the config, the data or the checkpoint cannot work.
    """
    started = time.perf_counter()
    with contextlib.chdir(invocation.start_folder):
        experiment = build(cfg, invocation.choices, invocation.start_folder)
        state = RunState(
            epochs=experiment.trainer.epochs,
            steps_per_epoch=experiment.data.steps_per_epoch,
            metric=experiment.settings.monitored,
            direction=experiment.settings.sought,
        )
        config = OmegaConf.to_yaml(cfg, resolve=True)
        store = CheckpointStore(invocation.folder / "checkpoints", config)
        resumed = resumed_checkpoint(experiment.settings.resume)
        run_id = _resume(resumed, store, experiment, state) if resumed else None
        history = [record.epoch_metrics(state, epoch) for epoch in range(len(state.history))]
        left = Resumed(resumed.absolute().parent.parent, history) if resumed else None
        experiment.tracker.start(_run_info(cfg, invocation, experiment, run_id, left))
        if resumed:
            store.take_best_from(resumed, state)
    data = experiment.data
    summary = summarise(experiment.model, data.input_shape, data.batch_size)
    documents = record.write_documents(config, invocation.overrides, summary, invocation.folder)
    for path in documents:
        experiment.tracker.log_artifact(path)
    info = trial.info()
    again = info is not None and info.attempt > 0  # its epochs are on record, or in the outbox
    recorded = len(state.history) if run_id or again else 0
    return Run(experiment, state, store, invocation, summary, recorded, started)


def _resume(
    path: Path, store: CheckpointStore, experiment: Experiment, state: RunState
) -> str | None:
    """Go on from a checkpoint; return the tracked run if this continues the same."""
    content = store.resume(path, experiment, state)
    log.info("resumed from %s after epoch %d", path, state.epoch)
    same_config = _without_resume(content["config"]) == _without_resume(store.config)
    same_server = content["run"]["uri"] == experiment.tracker.uri
    run_id: str | None = content["run"]["id"]
    return run_id if same_config and same_server else None


def _without_resume(config: str) -> dict[str, Any]:
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(config))  # type: ignore[assignment]
    return {key: value for key, value in content.items() if key != "resume"}


def _run_info(
    cfg: DictConfig,
    invocation: Invocation,
    experiment: Experiment,
    run_id: str | None,
    resumed: Resumed | None,
) -> RunInfo:
    params = record.flat_params(cfg, invocation.choices)
    name = f"{invocation.choices['model']}-{invocation.choices['optimizer']}"
    tags = record.tags(invocation.choices, params["seed"])
    info = trial.info()
    if info is not None:
        name = f"trial {info.number}"
        tags |= record.trial_tags(info)
    return RunInfo(
        experiment=experiment.data.name,
        name=name,
        params=params,
        tags=tags,
        dataset=record.dataset_info(experiment, str(cfg.data.get("root", experiment.data.name))),
        run_id=run_id,
        folder=invocation.folder,
        resumed=resumed,
    )
