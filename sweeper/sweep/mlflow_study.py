"""The record of a study in MLflow: one run, the parent of the runs of its trials."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import FAILURE_KEY, failures
from sweeper.sweep.observer import Outcome, StudyInfo
from sweeper.sweep.study import count_by_state
from sweeper.sweep.verdict import DUPLICATE_KEY
from sweeper.tracking import tags
from sweeper.tracking.outbox import Record
from sweeper.tracking.store import MLflowStore
from sweeper.tracking.study_page import StudyPage
from sweeper.tracking.uri import resolve_uri
from sweeper.trial import TrialInfo

STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
"""MLflow's status for each state in which a trial can end."""


@dataclass(frozen=True)
class MLflowStudy:
    """Observer that records a study as an MLflow run: space, counts, best trial and figures.

    The run is identified by the study's folder, so a resumed study continues the same run.

    Args:
        metric: Name of the objective, or a list of names.
        uri: MLflow's tracking URI; None for `MLFLOW_TRACKING_URI`, else a database in `folder`.
        experiment: MLflow's experiment; None for the name of the data set.
        folder: Folder in which the command was started.
    """

    metric: str | list[str]
    uri: str | None = None
    experiment: str | None = None
    folder: Path = field(default_factory=lambda: Path.cwd().absolute())

    def study_opened(self, study: StudyInfo) -> str | None:
        """Start the parent run, or mark it as running again; return its id."""
        params = {f"space/{key}": _to_text(values) for key, values in study.space.items()}
        params |= {group: str(option) for group, option in study.options.items()}
        run_tags = {tags.STUDY: study.name, "sweeper.directions": " ".join(study.directions)}
        store = self._store()
        run_id = self._start_run(store, study, study.name, str(study.folder), params, run_tags)
        StudyPage(store).reopen(run_id)
        return run_id

    def trial_started(self, trial: TrialInfo) -> None:
        """Do nothing: a trial that runs records itself."""

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        """Do nothing: `study_finished` records the trials that did not run."""

    def study_finished(self, study: StudyInfo) -> None:
        """Record counts, the best trial, results and figures, and end the parent run."""
        if study.parent_id is None:
            return
        loaded = optuna.load_study(study_name=study.name, storage=study.storage)
        store = self._store()
        try:
            self._reconcile(store, study, loaded.get_trials(deepcopy=False))
            metrics = _record("metrics", metrics=self._metrics(loaded), step=0)
            store.log_metrics(study.parent_id, [metrics])
            store.set_tags(study.parent_id, _best_tags(loaded))
            results = study.folder / "optimization_results.yaml"
            if results.is_file():
                store.log_artifact(study.parent_id, results, "")
            with tempfile.TemporaryDirectory() as folder:
                for path in _save_figures(loaded, self._metric_names(), Path(folder)):
                    store.log_artifact(study.parent_id, path, "figures")
        finally:
            store.finish(study.parent_id, _status(study, loaded), "", _now_ms())

    def _reconcile(self, store: MLflowStore, study: StudyInfo, trials: list[FrozenTrial]) -> None:
        """Make the runs of the trials agree with the study.

        Some trials have no run: duplicates, and those whose config could not be composed. The run
        of a trial whose worker died has no end.
        """
        page = StudyPage(store)
        runs = page.runs_of_trials(str(study.parent_id))
        for trial in trials:
            status = STATUS.get(trial.state)
            if status is None:
                continue
            if trial.number not in runs:
                self._record_trial_without_run(store, study, trial, status)
            elif runs[trial.number].info.status != status:
                reason = str(trial.user_attrs.get(FAILURE_KEY, ""))
                page.set_status(runs[trial.number].info.run_id, status, reason)

    def _metrics(self, study: optuna.Study) -> dict[str, float]:
        trials = study.get_trials(deepcopy=False)
        counts = count_by_state(trials)
        metrics = {
            "trials/complete": float(counts[TrialState.COMPLETE]),
            "trials/pruned": float(counts[TrialState.PRUNED]),
            "trials/failed": float(len(failures(trials))),
        }
        best = _best_trial(study)
        return metrics if best is None else metrics | self._best_metrics(best.values)

    def _best_metrics(self, values: Sequence[float]) -> dict[str, float]:
        named = zip(self._metric_names(), values, strict=True)
        return {f"best/{_metric_key(name)}": value for name, value in named}

    def _record_trial_without_run(
        self, store: MLflowStore, study: StudyInfo, trial: FrozenTrial, status: str
    ) -> None:
        """Record a duplicate, or a trial whose config could not be composed."""
        original = trial.user_attrs.get(DUPLICATE_KEY)
        reason = trial.user_attrs.get(FAILURE_KEY, "")
        run_tags = tags.of_trial(study.name, trial.number, study.parent_id)
        run_tags |= {tags.DUPLICATE: str(original)} if original is not None else {}
        params = {_config_key(name): str(value) for name, value in trial.params.items()}
        key = f"{study.folder}/{trial.number}"
        run_id = self._start_run(store, study, f"trial {trial.number}", key, params, run_tags)
        if trial.values:
            metrics = self._best_metrics(trial.values)
            store.log_metrics(run_id, [_record("metrics", metrics=metrics, step=0)])
        store.finish(run_id, status, str(reason), _now_ms())

    def _start_run(
        self,
        store: MLflowStore,
        study: StudyInfo,
        name: str,
        key: str,
        params: Mapping[str, str],
        run_tags: Mapping[str, str],
    ) -> str:
        """Return the id of the run that `key` identifies; start it if there is none."""
        experiment = self.experiment or study.options.get("data") or study.name
        body: dict[str, Any] = {"experiment": experiment, "name": name, "params": dict(params)}
        body |= {"tags": dict(run_tags), "dataset": None, "run_id": None}
        return store.start(_record("start", **body), key)

    def _store(self) -> MLflowStore:
        return MLflowStore(resolve_uri(self.uri, self.folder), self.folder)

    def _metric_names(self) -> list[str]:
        return [self.metric] if isinstance(self.metric, str) else list(self.metric)


def _record(op: Any, **body: Any) -> Record:
    return Record(op, _now_ms(), body)


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _metric_key(metric: str) -> str:
    return metric.replace("/", "_")


def _status(study: StudyInfo, loaded: optuna.Study) -> str:
    """Return FINISHED if the budget is spent, and KILLED if the study stopped before that."""
    counts = count_by_state(loaded.get_trials(deepcopy=False))
    n_done = counts[TrialState.COMPLETE] + counts[TrialState.PRUNED]
    return "FINISHED" if study.n_trials is None or n_done >= study.n_trials else "KILLED"


def _best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the best trial, or None if none is complete or there are several objectives."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trial if complete and len(study.directions) == 1 else None


def _best_tags(study: optuna.Study) -> dict[str, str]:
    best = _best_trial(study)
    if best is None:
        return {}
    params = {_config_key(name): str(value) for name, value in best.params.items()}
    lines = "\n".join(f"- `{name}`: {value}" for name, value in params.items())
    note = f"Best: **{best.value:.6g}** in trial {best.number}\n\n{lines}"
    best_tags = {f"best/{name}": value for name, value in params.items()}
    return best_tags | {"best/trial": str(best.number), "mlflow.note.content": note}


def _config_key(name: str) -> str:
    """Return the config key of a parameter's Optuna name, which may end in `@option`."""
    return name.partition("@")[0]


def _save_figures(study: optuna.Study, names: list[str], folder: Path) -> Iterator[Path]:
    from sweeper.figures.study_figures import study_figures  # imports matplotlib

    for name, figure in study_figures(study, names):
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        yield path
