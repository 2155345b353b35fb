"""The runs of a study in MLflow: a parent run, and a child run for each trial."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sweeper.text import shortened
from sweeper.tracking import tags
from sweeper.tracking.logged_model import LoggedModels, models_of
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import translating_refusals
from sweeper.tracking.store import (
    MLflowStore,
    allowed_name,
    is_superseded,
    model_page_of,
    page_of,
    replace_tag,
)

if TYPE_CHECKING:
    from mlflow.entities import Run


Turn = Callable[[], AbstractContextManager[None]]
"""What gives a context in which no other delivery creates, starts or ends a run."""

NOTE = "mlflow.note.content"
"""MLflow's own tag: its page shows the text, in Markdown."""
MODEL_LINK = ", [its network as a model](model:winner)"
"""A part of a note, which leads to the model of the study's winner, and is left out without one."""
_TRIAL_LINK = re.compile(r"\(trial:(\d+)\)")
_ARTIFACT_LINK = re.compile(r"\(artifact:([^)]+)\)")


def trial_link(number: int) -> str:
    """Return a link for a note, which leads to the run of a trial once it is delivered."""
    return f"[trial {number}](trial:{number})"


def artifact_link(path: str) -> str:
    """Return an address for a note, which becomes that of an artifact of the study's run."""
    return f"artifact:{path}"


class StudyPage:
    """The operations on the runs of a study that a single run does not need."""

    def __init__(self, store: MLflowStore) -> None:
        self._store = store
        self._client = store.client

    def reconcile(self, parent_id: str, record: Record, turn: Turn) -> None:
        """Make the runs of the trials agree with the study.

        Some trials have no run: duplicates, those whose config could not be composed, those whose
        records wait on another machine, and those of a database that was deleted. The run of a
        trial whose worker died has no end, or an end that says less than the study knows.

        Each trial gets a turn of its own, since all other deliveries of this folder wait meanwhile.
        """
        with translating_refusals():
            parent = self._client.get_run(parent_id)
            self._store.adopt(parent, {record.body["study_key"]})
            runs = self._runs_of_trials(parent_id)
            for trial in record.body["trials"]:
                run = runs.get(label := str(trial["number"]))
                if run is None or _disagrees(run, trial) or _is_older(trial, parent):
                    with turn():
                        runs[label] = self._corrected(run, parent, record, trial)
            with turn():
                model = self._describe(parent_id, record, runs)
        if model and record.body["registered_as"]:
            run, model_id = model
            with turn():
                models = LoggedModels(self._store)
                models.register(record.body["registered_as"], model_id, run.info.run_id)

    def _corrected(
        self, seen: "Run | None", parent: "Run", record: Record, trial: Mapping[str, Any]
    ) -> "Run":
        """Return the run of a trial once it agrees with the study; create it if there is none.

        seen: the run before this turn. The trial's own delivery may have created or changed it.
        """
        if seen is not None:
            run = self._client.get_run(seen.info.run_id)
        else:
            link = {tags.PARENT: parent.info.run_id, tags.TRIAL: str(trial["number"])}
            run = self._store.runs.newest(link) or self._create(parent, record, trial)
        if tags.OUTBOX not in run.data.tags:
            self._fill(run, record, trial)
        self._complete_curve(run, record, trial)
        if _disagrees_in_status(run, trial) and not is_superseded(run, record.time):
            self._end(run, record, trial)
        return run

    def _describe(
        self, parent_id: str, record: Record, runs: "Mapping[str, Run]"
    ) -> "tuple[Run, str] | None":
        """Write the note of the study's run; return the winner's run with its model, if any."""
        parent = self._client.get_run(parent_id)
        model = self._model_of(runs, record)
        page = model and self._show_model(parent, record, *model)
        if record.body["note"] and not is_superseded(parent, record.time):
            note = _with_addresses(record.body["note"], parent, runs, page)
            self._client.set_tag(
                parent_id, NOTE, shortened(note, tags.TAG_LENGTH), synchronous=True
            )
        return model

    def _model_of(self, runs: "Mapping[str, Run]", record: Record) -> "tuple[Run, str] | None":
        """Return the run of the winner with the id of its model; None if it has none."""
        label = str(record.body["winner"])
        of_winner = (run for key, run in runs.items() if key.partition(" ")[0] == label)
        run = next(filter(models_of, of_winner), None)
        return (run, models_of(run)[-1]) if run else None

    def _show_model(self, parent: "Run", record: Record, run: "Run", model_id: str) -> str:
        """Make the winner's model one of the study's run; return its page."""
        LoggedModels(self._store).link(parent, model_id, record.body["winner"])
        return model_page_of(run, model_id)

    def _runs_of_trials(self, parent_id: str) -> "dict[str, Run]":
        """Return the newest child run of each trial; the keys are trial numbers."""
        runs: dict[str, Run] = {}
        for run in self._store.runs.search({tags.PARENT: parent_id}):
            runs.setdefault(run.data.tags.get(tags.TRIAL, ""), run)
        return runs

    def _create(self, parent: "Run", record: Record, trial: Mapping[str, Any]) -> "Run":
        """Create the run of a trial that has delivered no records."""
        number, study = trial["number"], record.body["study"]
        values = tags.of_trial(study, number, parent.info.run_id)
        values[tags.STUDY_KEY] = record.body["study_key"] or parent.info.run_id
        return self._client.create_run(
            parent.info.experiment_id,
            trial["began"] or record.time,
            {name: shortened(value, tags.TAG_LENGTH) for name, value in values.items()},
            f"trial {number}",
        )

    def _fill(self, run: "Run", record: Record, trial: Mapping[str, Any]) -> None:
        """Write what the study knows of a trial that has delivered no records."""
        # Another version may have written a value in another way, and MLflow changes no parameter.
        known = run.data.params
        new = {k: v for k, v in trial["params"].items() if allowed_name(k) not in known}
        self._store.log_params(run.info.run_id, new)
        if trial["metrics"]:
            time = trial["ended"] or record.time
            metrics = Record("metrics", time, {"metrics": trial["metrics"], "step": 0})
            self._store.add_metrics(run.info.run_id, [metrics])

    def _complete_curve(self, run: "Run", record: Record, trial: Mapping[str, Any]) -> None:
        """Write the steps that the study knows, and the run has not."""
        time = trial["ended"] or record.time
        for name, curve in trial["curve"].items():
            history = self._client.get_metric_history(run.info.run_id, allowed_name(name))
            known = {point.step for point in history}
            missing = [
                Record("metrics", time, {"metrics": {name: value}, "step": step})
                for step, value in curve.items()
                if step not in known
            ]
            self._store.add_metrics(run.info.run_id, missing)

    def _end(self, run: "Run", record: Record, trial: Mapping[str, Any]) -> None:
        """End a run with the status of its trial, which no attempt so far can change."""
        run_id = run.info.run_id
        replace_tag(self._client, run, tags.END_REASON, trial["reason"])
        replace_tag(self._client, run, tags.STATE, trial["state"])
        self._client.set_tag(run_id, tags.ENDED_BY_STUDY, "true", synchronous=True)
        self._client.set_tag(run_id, tags.LAST_START, str(record.time), synchronous=True)
        self._client.set_terminated(run_id, trial["status"], trial["ended"] or record.time)


def _disagrees(run: "Run", trial: Mapping[str, Any]) -> bool:
    """Return whether the run of a trial has another end, or no records of its own."""
    return _disagrees_in_status(run, trial) or tags.OUTBOX not in run.data.tags


def _disagrees_in_status(run: "Run", trial: Mapping[str, Any]) -> bool:
    """Return whether the run of a trial has another end.

    A paused trial may go on elsewhere meanwhile, so a run with records of its own is left alone.
    """
    is_paused = trial["state"] == tags.PAUSED
    may_go_on = is_paused and tags.OUTBOX in run.data.tags
    went_on = run.data.tags.get(tags.STATE) == tags.PAUSED and not is_paused
    return (run.info.status != trial["status"] or went_on) and not may_go_on


def _is_older(trial: Mapping[str, Any], parent: "Run") -> bool:
    """Return whether a trial began before its study's run, whose database may be a new one.

    A trial that goes on records only its further steps there.
    """
    began: int | None = trial["began"]
    return began is not None and began < parent.info.start_time


def _with_addresses(note: str, parent: "Run", runs: "Mapping[str, Run]", model: str | None) -> str:
    """Return a note with the addresses of runs and artifacts, relative to those of the page.

    model: the page of the winner's model, if it has one.
    """
    link = MODEL_LINK.replace("model:winner", model) if model else ""
    note = note.replace(MODEL_LINK, link)

    def of_trial(match: re.Match[str]) -> str:
        run = runs.get(match[1])
        return f"({page_of(run or parent)})"

    def of_artifact(match: re.Match[str]) -> str:
        query = urlencode({"path": match[1], "run_uuid": parent.info.run_id})
        return f"(get-artifact?{query})"

    return _ARTIFACT_LINK.sub(of_artifact, _TRIAL_LINK.sub(of_trial, note))
