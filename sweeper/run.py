"""One run: train an experiment, score its best network, and record both."""

import contextlib
import logging
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.build import build
from sweeper.tracking.tracker import RunInfo
from sweeper.training import record
from sweeper.training.checkpoint import CheckpointStore, SaveCheckpoints
from sweeper.training.evaluate import predict
from sweeper.training.experiment import Experiment
from sweeper.training.interrupt import interruptible, terminable
from sweeper.training.loop import fit
from sweeper.training.progress import EpochLines, progress
from sweeper.training.state import RunState
from sweeper.training.stopping import StopEarly

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


def named_choices(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the option of each group; a group that was written out has none and is `inline`."""
    groups = [str(key) for key in cfg if isinstance(cfg[key], DictConfig) and key != "callbacks"]
    return dict.fromkeys(groups, "inline") | {g: str(o) for g, o in choices.items() if g in groups}


@dataclass(frozen=True)
class Run:
    """An experiment that is about to be trained, and where it stands."""

    experiment: Experiment
    state: RunState
    store: CheckpointStore
    invocation: Invocation
    recorded: int
    """Epochs that the tracked run has already."""
    started: float

    def execute(self) -> float:
        """Train, score and record; return the best monitored metric.

        Raises:
            TrainingError: the loss is not finite.
            KeyboardInterrupt: the run was interrupted; what it got to is saved.
        """
        tracker, display = self.experiment.tracker, progress()
        try:
            with terminable():
                self._train(display)
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
        tracker.finish("FINISHED", self.state.stop_reason or "")
        return self.state.best_value

    def _train(self, display: EpochLines) -> None:
        experiment = self.experiment
        callbacks = [
            record.TrackEpochs(experiment.tracker, self.recorded),
            *([StopEarly(experiment.stopping)] if experiment.stopping else []),
            *experiment.callbacks,
            SaveCheckpoints(self.store, experiment),
            display,
        ]
        with interruptible(self.state):
            fit(experiment, self.state, callbacks)
        if self.state.interrupted and self.state.epoch < self.state.epochs:
            raise KeyboardInterrupt

    def _conclude(self) -> None:
        """Score the best network, on the test split for the first and only time."""
        experiment, state = self.experiment, self.state
        self.store.load_best(experiment)
        best = state.history[(state.best_epoch or 1) - 1]
        monitored = {state.metric, "val/accuracy"}
        outcome = {f"best/{name.replace('/', '_')}": best[name] for name in sorted(monitored)}
        final = None
        if experiment.data.has_test:
            final = predict(experiment, experiment.data.test())
            outcome |= {f"test/{name}": value for name, value in final.metrics.items()}
        experiment.tracker.log_metrics(outcome, step=state.epoch)
        self._track_best()
        if experiment.settings.figures:
            val = predict(experiment, experiment.data.val())
            figures = self.invocation.folder / "figures"
            for path in record.draw_figures(experiment, state, val, final or val, figures):
                experiment.tracker.log_artifact(path, "figures")
        log.info("%s", self._summary(best, outcome))

    def _track_best(self) -> None:
        if self.store.best.is_file():
            self.experiment.tracker.log_artifact(self.store.best, "checkpoints")

    def _summary(self, best: Mapping[str, float], outcome: Mapping[str, float]) -> str:
        rows = [("best epoch", f"{self.state.best_epoch} of {self.state.epoch}")]
        if self.state.stop_reason:
            rows.append(("stopped", self.state.stop_reason))
        rows += [(name, f"{best[name]:.4f}") for name in ("val/loss", "val/accuracy")]
        rows += [(k, f"{v:.4f}") for k, v in outcome.items() if k.startswith("test/")]
        rows.append(("seconds", f"{time.perf_counter() - self.started:.1f}"))
        rows.append(("artifacts", str(self.invocation.folder)))
        return "\n" + "\n".join(f"{name.replace('/', ' '):<14}{value}" for name, value in rows)

    def _say_how_to_resume(self) -> None:
        if not self.store.last.is_file():
            log.warning("interrupted before anything was saved")
            return
        kept = [a for a in self.invocation.arguments if not a.startswith("resume=")]
        command = ["python", "-m", "sweeper", *kept, f"resume={hydra_value(self.store.last)}"]
        told = (self.state.epoch, shlex.join(command))
        log.warning("interrupted after epoch %d; to go on:\n  %s", *told)


def hydra_value(path: Path) -> str:
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
            metric=experiment.settings.metric,
            direction=experiment.settings.sought,
        )
        config = OmegaConf.to_yaml(cfg, resolve=True)
        store = CheckpointStore(invocation.folder / "checkpoints", config)
        run_id = _resume(store, experiment, state)
        experiment.tracker.start(_run_info(cfg, invocation, experiment, run_id))
        if experiment.settings.resume is not None:
            store.take_best_from(Path(experiment.settings.resume), state)
    for path in record.write_documents(experiment, config, invocation.overrides, invocation.folder):
        experiment.tracker.log_artifact(path)
    recorded = len(state.history) if run_id else 0
    return Run(experiment, state, store, invocation, recorded, started)


def _resume(store: CheckpointStore, experiment: Experiment, state: RunState) -> str | None:
    """Go on from the checkpoint asked for; return the tracked run if this continues the same."""
    path = experiment.settings.resume
    if path is None:
        return None
    content = store.resume(Path(path), experiment, state)
    log.info("resumed from %s after epoch %d", path, state.epoch)
    same_config = _without_resume(content["config"]) == _without_resume(store.config)
    same_server = content["run"]["uri"] == experiment.tracker.uri
    run_id: str | None = content["run"]["id"]
    return run_id if same_config and same_server else None


def _without_resume(config: str) -> dict[str, Any]:
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(config))  # type: ignore[assignment]
    return {key: value for key, value in content.items() if key != "resume"}


def _run_info(
    cfg: DictConfig, invocation: Invocation, experiment: Experiment, run_id: str | None
) -> RunInfo:
    params = record.flat_params(cfg, invocation.choices)
    return RunInfo(
        experiment=experiment.data.name,
        name=f"{invocation.choices['model']}-{invocation.choices['optimizer']}",
        params=params,
        tags=record.tags(invocation.choices, params["seed"]),
        dataset=record.dataset_info(experiment, str(cfg.data.get("root", experiment.data.name))),
        run_id=run_id,
    )
