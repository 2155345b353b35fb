"""The parent run of a study, in a real MLflow database."""

import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.mlflow_study import MLflowStudy
from sweeper.sweep.observer import StudyInfo
from sweeper.sweep.verdict import DUPLICATE_KEY
from sweeper.tracking import tags
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.outbox import abandoned_outboxes
from sweeper.tracking.store import MLflowStore
from sweeper.tracking.tracker import RunInfo

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SPACE = {"model.width": optuna.distributions.IntDistribution(1, 9)}
AWAY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("database")
    MLflowStore(uri := f"sqlite:///{folder}/mlflow.db", folder)
    return uri


@pytest.fixture
def study(tmp_path, request):
    storage = optuna.storages.InMemoryStorage()
    name = request.node.name
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
    for width, user_attrs in ((1, {}), (2, {}), (2, {DUPLICATE_KEY: 1})):
        params = {"model.width": width}
        trial = create_trial(
            params=params, distributions=SPACE, value=width / 10, user_attrs=user_attrs
        )
        study.add_trial(trial)
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "it broke"}))
    return StudyInfo(name, tmp_path / "s", ("maximize",), {}, {"data": name}, 4, storage)


def runs(database: str, study: StudyInfo) -> tuple[list[Any], list[Any]]:
    """Return the parent runs of a study and its trials' runs."""
    from mlflow import MlflowClient

    client = MlflowClient(database)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = list(client.search_runs(ids, f"tags.`{tags.STUDY}` = '{study.name}'"))
    return [r for r in found if tags.is_study(r.data.tags)], [
        r for r in found if not tags.is_study(r.data.tags)
    ]


@pytest.fixture
def deliver(database: str, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Return a function that delivers to the database what waits for the server that is away."""

    def deliver_all() -> None:
        for outbox in abandoned_outboxes(tmp_path / "outbox"):
            delivery = Delivery(outbox, lambda uri, folder: MLflowStore(database, folder))
            assert delivery.attempt(), delivery.failure
            delivery.close()
        assert not (tmp_path / "outbox").exists()

    return deliver_all


def run_trial(folder: Path, study: StudyInfo, parent: str, number: int, uri: str) -> None:
    tracker = MLflowTracker(uri, folder=folder, flush_seconds=20)
    trial_tags = tags.of_trial(study.name, number, parent)
    tracker.start(RunInfo(study.options["data"], f"trial {number}", tags=trial_tags))
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.finish("FINISHED")


def test_the_parent_run_records_counts_the_best_trial_and_every_end(
    study, database, tmp_path
) -> None:
    from mlflow import MlflowClient

    space = {"model.width": distribution_to_json(SPACE["model.width"])}
    study = replace(study, space=space)
    names = {"run_name": 7, "own_tags": OmegaConf.create({"who": "me", "a": {"b": 1}})}
    observer = MLflowStudy("val/accuracy", database, folder=tmp_path, **names)
    parent = observer.study_opened(study)
    assert observer.study_opened(study) == parent
    observer.study_finished(replace(study, parent_id=parent))
    client = MlflowClient(database)
    run = client.get_run(parent)
    assert run.data.metrics["best/val_accuracy"] == 0.2
    assert run.data.metrics["trials/complete"] == 3
    assert run.data.tags["best/model.width"] == "2"
    assert run.info.status == "KILLED"  # only three of four trials are done
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    states = {child.info.run_name: child.info.status for child in children}
    assert states == {f"trial {n}": "FINISHED" for n in range(3)} | {"trial 3": "FAILED"}
    figures = {file.path for file in client.list_artifacts(parent, "figures")}
    names = ("study", "history", "slice", "parallel_coordinates")
    assert {f"figures/{name}.png" for name in names} <= figures
    assert not (tmp_path / "outbox").exists()
    ids = {child.info.run_name: child.info.run_id for child in children}
    note = run.data.tags["mlflow.note.content"]
    best = f"#/experiments/{run.info.experiment_id}/runs/{ids['trial 1']}"
    assert f"**Best: 0.2** in [trial 1]({best})" in note
    assert f"(get-artifact?path=figures%2Fstudy_small.png&run_uuid={parent})" in note
    assert run.data.params["space/model.width"] == "int(interval(1,9))"
    assert (run.info.run_name, run.data.tags["who"], run.data.tags["a.b"]) == ("7", "me", "1")


def test_the_best_value_so_far_is_a_curve_that_a_resumed_study_does_not_repeat(
    study, database, tmp_path
) -> None:
    from mlflow import MlflowClient

    parent = None
    for _ in range(2):
        observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
        parent = observer.study_opened(replace(study, parent_id=parent))
        observer.study_finished(replace(study, parent_id=parent))
    history = MlflowClient(database).get_metric_history(parent, "best_so_far/val_accuracy")
    assert [(point.step, point.value) for point in history] == [(0, 0.1), (1, 0.2), (2, 0.2)]


def test_an_observer_is_pickled_without_its_live_tracker(study, tmp_path) -> None:
    observer = MLflowStudy("val/accuracy", AWAY, folder=tmp_path)
    observer.study_opened(study)
    copy = pickle.loads(pickle.dumps(observer))
    assert copy == observer
    copy.trial_started(None)


class BrokenServer(BaseHTTPRequestHandler):
    """A server that answers every request with an error."""

    def do_POST(self) -> None:
        self.send_error(500)

    do_GET = do_POST

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BrokenServer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind", ["away", "broken"])
def test_a_study_without_its_server_ends_with_one_line_and_is_delivered_later(
    study, database, deliver, tmp_path, caplog, broken, kind: str
) -> None:
    uri = AWAY if kind == "away" else broken
    observer = MLflowStudy("val/accuracy", uri, folder=tmp_path)
    key = observer.study_opened(study)
    run_trial(tmp_path, study, key, 0, uri)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "sweeper"):
        observer.study_finished(replace(study, parent_id=key))
    (warning,) = [record.message for record in caplog.records if record.name[:7] == "sweeper"]
    assert "python -m sweeper.tracking.deliver" in warning
    assert "\n" not in warning
    deliver()
    (parent,), trials = runs(database, study)
    assert parent.info.status == "KILLED"
    assert parent.data.metrics["trials/failed"] == 1
    assert parent.data.tags["best/trial"] == "1"
    assert {t.data.tags[tags.PARENT] for t in trials} == {parent.info.run_id}
    ends = sorted((t.data.tags[tags.TRIAL], t.info.status) for t in trials)
    assert ends == [("0", "FINISHED"), ("1", "FINISHED"), ("2", "FINISHED"), ("3", "FAILED")]
    assert "loss" in next(t for t in trials if t.data.tags[tags.TRIAL] == "0").data.metrics


@pytest.mark.parametrize(
    ("uris", "ended"),
    [("away then up", True), ("away then up", False), ("up then away", False)],
)
def test_the_same_command_goes_on_with_the_same_parent_run(
    study, database, deliver, tmp_path, uris: str, ended: bool
) -> None:
    parent_id: str | None = None
    for uri in uris.split(" then "):
        observer = MLflowStudy("acc", AWAY if uri == "away" else database, folder=tmp_path)
        # Closed here is what the system closes when the process is killed.
        parent_id = observer.study_opened(replace(study, parent_id=parent_id))
        if ended:
            observer.study_finished(replace(study, parent_id=parent_id))
        else:
            (tracker,) = observer._trackers
            tracker._closing.set()
            tracker._closing_others.set()
            for thread in tracker._threads:
                thread.join()
    deliver()
    (parent,), trials = runs(database, study)
    assert parent.info.status == "KILLED"
    assert len(trials) == (4 if ended else 0)


def test_a_study_begun_afresh_under_the_same_name_is_another_parent_run(
    study, database, tmp_path
) -> None:
    for _ in range(2):
        observer = MLflowStudy("acc", database, folder=tmp_path)
        parent = observer.study_opened(study)
        observer.study_finished(replace(study, parent_id=parent))
    parents, trials = runs(database, study)
    assert len(parents) == 2
    assert len(trials) == 8


def test_an_id_that_another_observer_gave_leads_the_trials_to_the_parent_run(
    study, database, tmp_path
) -> None:
    observer = MLflowStudy("acc", database, folder=tmp_path)
    observer.study_opened(study)
    run_trial(tmp_path, study, "parent-1-" + study.name, 0, database)
    observer.study_finished(replace(study, parent_id="parent-1-" + study.name))
    (parent,), trials = runs(database, study)
    assert len(trials) == 4
    assert {t.data.tags[tags.PARENT] for t in trials} == {parent.info.run_id}
