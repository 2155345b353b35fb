"""One run: train an experiment, score its best network, and record both."""

import logging
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.build import build
from sweeper.tracking.tracker import RunInfo
from sweeper.training import record
from sweeper.training.checkpoint import CheckpointStore, SaveCheckpoints
from sweeper.training.evaluate import Predictions, predict
from sweeper.training.experiment import Experiment
from sweeper.training.loop import fit
from sweeper.training.progress import progress
from sweeper.training.state import RunState
from sweeper.training.stopping import StopEarly

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invocation:
    """How a run was asked for, and where it works."""

    choices: Mapping[str, str]
    """The option of each group."""
    overrides: Sequence[str]
    folder: Path
    """Of this run."""
    start_folder: Path
    """That the command was started in."""


def named_choices(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the option of each group; a group that was written out has none and is `inline`."""
    groups = [str(key) for key in cfg if isinstance(cfg[key], DictConfig)]
    return dict.fromkeys(groups, "inline") | {g: str(o) for g, o in choices.items() if g in groups}


def run(cfg: DictConfig, invocation: Invocation) -> float:
    """Train the experiment of a composed config and return its best monitored metric.

    Raises:
        SweeperError: the config, the data or the training cannot work.
        KeyboardInterrupt: the run was interrupted; what it got to is saved.
    """
    started = time.perf_counter()
    experiment = build(cfg, invocation.choices, invocation.start_folder)
    state = RunState(
        epochs=experiment.trainer.epochs,
        steps_per_epoch=experiment.data.steps_per_epoch,
        metric=experiment.settings.metric,
        direction=experiment.settings.sought,
    )
    config = OmegaConf.to_yaml(cfg, resolve=True)
    store = CheckpointStore(invocation.folder / "checkpoints", config, experiment.tracker)
    run_id = _resume(store, experiment, state)
    tracker = experiment.tracker
    tracker.start(_run_info(cfg, invocation, experiment, run_id))
    display = progress()
    callbacks = [
        record.TrackEpochs(tracker, recorded=len(state.history) if run_id else 0),
        *([StopEarly(experiment.stopping)] if experiment.stopping else []),
        *experiment.callbacks,
        SaveCheckpoints(store, experiment),
        display,
    ]
    try:
        with interruptible(state):
            fit(experiment, state, callbacks)
        if state.interrupted and state.epoch < state.epochs:
            raise KeyboardInterrupt
        _conclude(experiment, state, store, invocation, started)
    except KeyboardInterrupt:
        tracker.finish("KILLED", "interrupted")
        _say_how_to_resume(state, store, invocation)
        raise
    except BaseException as error:
        tracker.finish("FAILED", str(error) or type(error).__name__)
        raise
    finally:
        display.close()
    tracker.finish("FINISHED", state.stop_reason or "")
    return state.best_value


def _resume(store: CheckpointStore, experiment: Experiment, state: RunState) -> str | None:
    """Go on from the checkpoint asked for; return the tracked run if this continues the same."""
    path = experiment.settings.resume
    if path is None:
        return None
    content = store.resume(Path(path), experiment, state)
    log.info("resumed from %s after epoch %d", path, state.epoch)
    same = _without_resume(content["config"]) == _without_resume(store.config)
    run_id: str | None = content["run_id"]
    return run_id if same else None


def _without_resume(config: str) -> dict[str, Any]:
    content: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(config))  # type: ignore[assignment]
    return {key: value for key, value in content.items() if key != "resume"}


def _run_info(
    cfg: DictConfig, invocation: Invocation, experiment: Experiment, run_id: str | None
) -> RunInfo:
    params = record.flat_params(cfg, invocation.choices)
    tags = record.tags(invocation.choices, params)
    return RunInfo(
        experiment=cfg.tracking.get("experiment") or experiment.data.name,
        name=f"{params['model']}-{params['optimizer']}",
        params=params,
        tags=tags,
        dataset=record.dataset_info(experiment, str(cfg.data.get("root", experiment.data.name))),
        run_id=run_id,
    )


@contextmanager
def interruptible(state: RunState) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the run after its batch, and the second at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        log.warning("interrupted: saving after this batch; once more ends at once")
        state.interrupt()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, interrupt)
    except ValueError:  # only the main thread may set handlers; there is no Ctrl-C elsewhere
        before = {}
    try:
        yield
    finally:
        restore()


def _conclude(
    experiment: Experiment,
    state: RunState,
    store: CheckpointStore,
    invocation: Invocation,
    started: float,
) -> None:
    """Score the best network, the test split for the first and only time, and record it."""
    store.load_best(experiment)
    tracker, data = experiment.tracker, experiment.data
    metric = state.metric.replace("/", "_")
    outcome = {f"best/{metric}": state.best_value}
    final: Predictions | None = None
    if data.has_test:
        final = predict(experiment, data.test())
        outcome |= {f"test/{name}": value for name, value in final.metrics.items()}
    tracker.log_metrics(outcome, step=state.epoch)
    _record_artifacts(experiment, state, store, invocation, final)
    seconds = time.perf_counter() - started
    log.info("%s", _summary(state, outcome, seconds, invocation.folder))


def _record_artifacts(
    experiment: Experiment,
    state: RunState,
    store: CheckpointStore,
    invocation: Invocation,
    final: Predictions | None,
) -> None:
    folder, tracker = invocation.folder, experiment.tracker
    (folder / "config.yaml").write_text(store.config, encoding="utf-8")
    overrides = OmegaConf.to_yaml(OmegaConf.create(list(invocation.overrides)))
    (folder / "overrides.yaml").write_text(overrides, encoding="utf-8")
    tracker.log_artifact(folder / "config.yaml")
    tracker.log_artifact(folder / "overrides.yaml")
    tracker.log_artifact(store.best, "checkpoints")
    tracker.log_artifact(record.write_model_summary(experiment, folder))
    if experiment.settings.figures:
        val = predict(experiment, experiment.data.val())
        for path in record.draw_figures(experiment, state, val, final or val, folder / "figures"):
            tracker.log_artifact(path, "figures")


def _summary(state: RunState, outcome: Mapping[str, float], seconds: float, folder: Path) -> str:
    rows = [("best epoch", f"{state.best_epoch} of {state.epoch}")]
    if state.stop_reason:
        rows.append(("stopped", state.stop_reason))
    best = state.history[(state.best_epoch or 1) - 1]
    rows += [(name, f"{best[name]:.4f}") for name in ("val/loss", "val/accuracy")]
    rows += [(k, f"{v:.4f}") for k, v in outcome.items() if k.startswith("test/")]
    rows += [("seconds", f"{seconds:.1f}"), ("artifacts", str(folder))]
    return "\n" + "\n".join(f"{name.replace('/', ' '):<14}{value}" for name, value in rows)


def _say_how_to_resume(state: RunState, store: CheckpointStore, invocation: Invocation) -> None:
    if not store.last.is_file():
        log.warning("interrupted before anything was saved")
        return
    overrides = [o for o in invocation.overrides if not o.startswith("resume=")]
    command = ["python", "-m", "sweeper", *overrides, f"resume={store.last}"]
    log.warning("interrupted after epoch %d; to go on:\n  %s", state.epoch, shlex.join(command))
