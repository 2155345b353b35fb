"""`sweeper.run` and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from sweeper import trial
from sweeper.api.call import CONFIG_NAME, Call
from sweeper.api.untouched import untouched_torch
from sweeper.errors import EndedError

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

    from sweeper.run.run import Run


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Args:
        value: Best value of the metric that selects the best epoch, or of each metric.
        metrics: Metrics of the best network, such as `val/accuracy` at the best epoch and
            `test/accuracy`; and `n_parameters` and `multiply_adds`.
        best_epoch: Number of the best epoch, from 1.
        history: Metrics of each epoch.
        folder: Folder of the run.
        checkpoint: Checkpoint of the best network; None if it could not be written.
        figures: PNG files of the figures by name, such as `learning_curves`.
        config: Config of the run, with `***` in place of passwords.
        mlflow_run_id: MLflow's id of the run; None if MLflow does not have it, or not yet.
    """

    value: float | tuple[float, ...]
    metrics: Mapping[str, float]
    best_epoch: int
    folder: Path
    checkpoint: Path | None
    mlflow_run_id: str | None
    history: tuple[Mapping[str, float], ...] = field(repr=False)
    figures: Mapping[str, Path] = field(repr=False)
    config: DictConfig = field(repr=False)

    @property
    def epochs(self) -> "pandas.DataFrame":
        """The history as a table with a row for each epoch."""
        import pandas

        index = pandas.RangeIndex(1, len(self.history) + 1, name="epoch")
        return pandas.DataFrame(list(self.history), index=index)


def run(*overrides: str, config_dir: str | Path | None = None) -> RunResult:
    """Train as `python -m sweeper OVERRIDES` does; return the result of the run.

    It prints and records what the command does, in the current folder. The state of the process is
    afterwards as before: random numbers, logging, Hydra, the environment, signal handlers.

    Args:
        overrides: Overrides of the config, such as "model=lenet" and "trainer.epochs=3".
        config_dir: Folder of your own options, as --config-dir.

    Raises:
        SweeperError: the config, the data or a checkpoint cannot be used, or training failed.
        KeyboardInterrupt: the run was interrupted. It is saved, and the printed command or
            `sweeper.run(..., "resume=<folder>/checkpoints/last.pt")` continues it.
        optuna.TrialPruned: the run was called by the task of a study, which has ended this trial
            within the first epoch.
    """
    results: list[RunResult] = []

    def task(cfg: DictConfig) -> Any:
        from sweeper.app import executed

        try:
            with untouched_torch():
                finished, value = executed(cfg)
        except Exception as error:
            raise EndedError(error) from error
        if finished.state.best_epoch is not None:
            results.append(_result(finished, value))
        return value

    with Call(overrides, None if config_dir is None else Path(config_dir)).opened() as opened:
        hydra, given = opened
        hydra.run(config_name=CONFIG_NAME, task_function=task, overrides=given)
    if not results:
        import optuna  # takes a second; a run outside a study does not need it

        raise optuna.TrialPruned(f"{trial.stop_reason()} within the first epoch")
    return results[0]


def _result(finished: "Run", value: float | tuple[float, ...]) -> RunResult:
    state, store = finished.state, finished.store
    assert state.best_epoch is not None  # only a trial ends without an error before it
    folder = finished.invocation.folder
    best = state.history[state.best_epoch - 1]
    metrics = {name: value for name, value in best.items() if name.startswith("val/")}
    # The scores have the monitored metric once more, under the name that the tracker shows.
    metrics |= {name: v for name, v in finished.scores.items() if not name.startswith("best/")}
    return RunResult(
        value=value,
        metrics=metrics,
        best_epoch=state.best_epoch,
        history=tuple(state.history),
        folder=folder,
        checkpoint=store.best if store.has_best else None,
        figures=dict(sorted(finished.figures.items())),
        config=DictConfig(OmegaConf.create(store.config)),
        mlflow_run_id=_mlflow_run_id(finished),
    )


def _mlflow_run_id(finished: "Run") -> str | None:
    """Return MLflow's id of the run.

    Until the run is delivered, the tracker has a key instead, by which it lies in the outbox.
    """
    run_id = finished.experiment.tracker.run_id
    waits = run_id is not None and (finished.invocation.start_folder / "outbox" / run_id).is_dir()
    return None if waits else run_id
