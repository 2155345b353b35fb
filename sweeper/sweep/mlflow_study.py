"""A study on record in MLflow: one run, the parent of its trials' runs."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
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
"""How MLflow shows the states of trials that have ended."""


@dataclass(frozen=True)
class MLflowStudy:
    """Keeps the parent run: space, counts, best trial and Optuna's figures.

    `metric` names the objectives; `experiment` null is the name of the data. The run is found
    again by the study's folder.
    """

    metric: str | list[str]
    uri: str | None = None
    experiment: str | None = None
    folder: Path = field(default_factory=lambda: Path.cwd().absolute())

    def study_opened(self, study: StudyInfo) -> str | None:
        """Begin the parent run, or take it up again; return its id."""
        params = {f"space/{key}": _text(values) for key, values in study.space.items()}
        params |= {group: str(option) for group, option in study.options.items()}
        values = {tags.STUDY: study.name, "sweeper.directions": " ".join(study.directions)}
        store = self._store()
        run_id = self._begin(store, study, study.name, str(study.folder), params, values)
        StudyPage(store).reopen(run_id)
        return run_id

    def trial_started(self, trial: TrialInfo) -> None:
        """Leave it to the trial, which records its own run."""

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        """Leave it to the trial, or to the end of the study if it never ran."""

    def study_finished(self, study: StudyInfo) -> None:
        """Write what came of the study so far, and draw it."""
        if study.parent_id is None:
            return
        loaded = optuna.load_study(study_name=study.name, storage=study.storage)
        store = self._store()
        try:
            self._reconcile(store, study, loaded.get_trials(deepcopy=False))
            metrics = _record("metrics", metrics=self._figures(loaded), step=0)
            store.log_metrics(study.parent_id, [metrics])
            store.set_tags(study.parent_id, _best_tags(loaded))
            results = study.folder / "optimization_results.yaml"
            if results.is_file():
                store.log_artifact(study.parent_id, results, "")
            with tempfile.TemporaryDirectory() as folder:
                for path in _drawn(loaded, self._names(), Path(folder)):
                    store.log_artifact(study.parent_id, path, "figures")
        finally:
            store.finish(study.parent_id, _status(study, loaded), "", _now())

    def _reconcile(self, store: MLflowStore, study: StudyInfo, trials: list[FrozenTrial]) -> None:
        """Make MLflow say of every trial what the study says.

        A trial may have had no run (a duplicate, one that could not be built), and a dead worker
        none to tell how it ended.
        """
        page = StudyPage(store)
        runs = page.runs_of_trials(str(study.parent_id))
        for trial in trials:
            status = STATUS.get(trial.state)
            if status is None:
                continue
            if trial.number not in runs:
                self._record_unrun(store, study, trial, status)
            elif runs[trial.number].info.status != status:
                reason = str(trial.user_attrs.get(FAILURE_KEY, ""))
                page.correct_end(runs[trial.number].info.run_id, status, reason)

    def _figures(self, study: optuna.Study) -> dict[str, float]:
        found = count_by_state(study.get_trials(deepcopy=False))
        numbers = {
            "trials/complete": found[TrialState.COMPLETE],
            "trials/pruned": found[TrialState.PRUNED],
            "trials/failed": len(failures(study.get_trials(deepcopy=False))),
        }
        best = _best(study)
        if best is None:
            return {name: float(number) for name, number in numbers.items()}
        values = {f"best/{_key(n)}": v for n, v in zip(self._names(), best.values, strict=True)}
        return {name: float(number) for name, number in numbers.items()} | values

    def _record_unrun(
        self, store: MLflowStore, study: StudyInfo, trial: FrozenTrial, status: str
    ) -> None:
        """Record a duplicate, whose value was known, or a trial that could not be composed."""
        notes, place = trial.user_attrs, f"{study.folder}/{trial.number}"
        twin, reason = notes.get(DUPLICATE_KEY), notes.get(FAILURE_KEY, "")
        values = tags.of_trial(study.name, trial.number, study.parent_id)
        values |= {tags.DUPLICATE: str(twin)} if twin is not None else {}
        params = {_config_key(name): str(value) for name, value in trial.params.items()}
        run_id = self._begin(store, study, f"trial {trial.number}", place, params, values)
        if trial.values:
            best = {f"best/{_key(n)}": v for n, v in zip(self._names(), trial.values, strict=True)}
            store.log_metrics(run_id, [_record("metrics", metrics=best, step=0)])
        store.finish(run_id, status, str(reason), _now())

    def _begin(
        self,
        store: MLflowStore,
        study: StudyInfo,
        name: str,
        key: str,
        params: Mapping[str, str],
        values: Mapping[str, str],
    ) -> str:
        experiment = self.experiment or study.options.get("data") or study.name
        body: dict[str, Any] = {"experiment": experiment, "name": name, "params": dict(params)}
        body |= {"tags": dict(values), "dataset": None, "run_id": None}
        return store.start(_record("start", **body), key)

    def _store(self) -> MLflowStore:
        return MLflowStore(resolve_uri(self.uri, self.folder), self.folder)

    def _names(self) -> list[str]:
        return [self.metric] if isinstance(self.metric, str) else list(self.metric)


def _record(op: Any, **body: Any) -> Record:
    return Record(op, _now(), body)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _key(metric: str) -> str:
    return metric.replace("/", "_")


def _status(study: StudyInfo, loaded: optuna.Study) -> str:
    """Return FINISHED once the budget is spent; a study that stopped before was ended."""
    found = count_by_state(loaded.get_trials(deepcopy=False))
    done = found[TrialState.COMPLETE] + found[TrialState.PRUNED]
    return "FINISHED" if study.n_trials is None or done >= study.n_trials else "KILLED"


def _best(study: optuna.Study) -> FrozenTrial | None:
    """Return the best trial of a single objective, if one is complete."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trial if complete and len(study.directions) == 1 else None


def _best_tags(study: optuna.Study) -> dict[str, str]:
    best = _best(study)
    if best is None:
        return {}
    params = {_config_key(name): str(value) for name, value in best.params.items()}
    found = "\n".join(f"- `{name}`: {value}" for name, value in params.items())
    note = f"Best: **{best.value:.6g}** in trial {best.number}\n\n{found}"
    tags = {f"best/{name}": value for name, value in params.items()}
    return tags | {"best/trial": str(best.number), "mlflow.note.content": note}


def _config_key(name: str) -> str:
    """Return the key of a parameter that Optuna tells apart by the option it belongs to."""
    return name.partition("@")[0]


def _drawn(study: optuna.Study, names: list[str], folder: Path) -> Iterator[Path]:
    from sweeper.figures.study_figures import study_figures  # brings in matplotlib

    for name, figure in study_figures(study, names):
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        yield path
