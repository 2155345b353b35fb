"""The parent run of a study, in a real MLflow database."""

import logging
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
from omegaconf import OmegaConf
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState, create_trial
from torch import nn

from sweeper.locks import locked
from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.curve import END_ORDER_KEY, PLACE_KEY
from sweeper.sweep.finals.final_records import SCORES_RECORD, Scores
from sweeper.sweep.mlflow_study import MLflowStudy
from sweeper.sweep.observer import StudyInfo
from sweeper.tracking import tags
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.known_runs import KnownRuns
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.outbox import Outbox, abandoned_outboxes
from sweeper.tracking.store import MLflowStore
from sweeper.tracking.tracker import RunInfo, ServedModel

pytestmark = pytest.mark.filterwarnings("ignore")
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
    for width in (1, 2, 2):
        params = {"model.width": width}
        study.add_trial(create_trial(params=params, distributions=SPACE, value=width / 10))
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


@pytest.mark.parametrize(("configured", "expected"), [(None, "ours"), ("mine", "mine")])
def test_the_parent_run_is_in_the_experiment_of_the_trials(
    study, database, tmp_path, monkeypatch, configured, expected
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    observer = MLflowStudy("val/accuracy", database, configured, folder=tmp_path)
    run = MlflowClient(database).get_run(observer.study_opened(study))
    experiment = MlflowClient(database).get_experiment(run.info.experiment_id)
    assert experiment.name == expected


def test_the_parent_run_records_counts_the_best_trial_and_every_end(
    study, database, tmp_path
) -> None:
    from mlflow import MlflowClient

    space = {"model.width": distribution_to_json(SPACE["model.width"])}
    study = replace(study, space=space)
    own = {"who": "me", "a": {"b": 1}, "source": "postgresql://ada:letmeinnow@db/images"}
    names = {"run_name": 7, "own_tags": OmegaConf.create(own)}
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
    of_best = f"experiments/{run.info.experiment_id}/runs/{ids['trial 1']}"
    best = f"#/{of_best}?workflowType=machine_learning"
    assert f"**Best: 0.2** in [trial 1]({best})" in note
    assert f"(get-artifact?path=figures%2Fstudy_small.png&run_uuid={parent})" in note
    assert run.data.params["space/model.width"] == "int(interval(1,9))"
    assert (run.info.run_name, run.data.tags["who"], run.data.tags["a.b"]) == ("7", "me", "1")
    assert run.data.tags["source"] == "postgresql://ada:***@db/images"


def test_an_error_ends_the_parent_run_until_the_study_goes_on(study, database, tmp_path) -> None:
    from mlflow import MlflowClient

    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    study = replace(study, parent_id=parent)
    observer.study_failed(replace(study, storage=None), "the database was away")  # it still is
    client = MlflowClient(database)
    run = client.get_run(parent)
    assert run.info.status == "FAILED"
    assert run.data.tags[tags.END_REASON] == "the database was away"
    assert not (tmp_path / "outbox").exists()
    observer.study_opened(study)
    observer.study_finished(replace(study, has_ended=True))
    run = client.get_run(parent)
    assert (run.info.status, run.data.metrics["trials/complete"]) == ("FINISHED", 3)
    assert tags.END_REASON not in run.data.tags


def test_an_error_begins_no_run_of_a_study_that_has_none(study, database, tmp_path) -> None:
    MLflowStudy("val/accuracy", database, folder=tmp_path).study_failed(study, "the disk is full")
    assert runs(database, study) == ([], [])


def test_a_paused_trial_is_recorded_with_its_curve_and_its_times(study, database, tmp_path) -> None:
    from mlflow import MlflowClient

    stretch = {"start": 1.0, "end": 2.5, "worker": "w"}
    place = {PLACE_KEY: {"is_paused": True, "stretches": [stretch]}}
    loaded = optuna.load_study(study_name=study.name, storage=study.storage)
    waits = {"state": TrialState.WAITING, "params": {"model.width": 2}, "distributions": SPACE}
    loaded.add_trial(create_trial(**waits, intermediate_values={1: 0.5}, system_attrs=place))
    loaded.add_trial(create_trial(**waits))
    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    observer.study_finished(replace(study, parent_id=parent))
    trials = {run.data.tags[tags.TRIAL]: run for run in runs(database, study)[1]}
    assert sorted(trials) == ["0", "1", "2", "3", "4"]
    info, data = trials["4"].info, trials["4"].data
    assert (info.status, info.start_time, info.end_time) == ("KILLED", 1000, 2500)
    assert (data.tags[tags.STATE], data.tags[tags.END_REASON]) == ("paused", "paused")
    assert (data.params, data.metrics) == ({"model.width": "2"}, {"val/accuracy": 0.5})
    [point] = MlflowClient(database).get_metric_history(info.run_id, "val/accuracy")
    assert (point.step, point.value) == (1, 0.5)


def test_the_best_value_so_far_is_a_curve_that_a_resumed_study_does_not_repeat(
    study, database, tmp_path
) -> None:
    from mlflow import MlflowClient

    loaded = optuna.load_study(study_name=study.name, storage=study.storage)
    loaded.add_trial(create_trial(value=0.9, constraints={"size": 1.0}))  # it cannot be the best
    parent = None
    for _ in range(2):
        observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
        parent = observer.study_opened(replace(study, parent_id=parent))
        observer.study_finished(replace(study, parent_id=parent))
    history = MlflowClient(database).get_metric_history(parent, "best_so_far/val_accuracy")
    assert [(point.step, point.value) for point in history] == [(0, 0.1), (1, 0.2), (2, 0.2)]


def best_so_far(study) -> list[tuple[int, float]]:
    """Return the steps and values of the best values so far that a study records."""
    points: list[tuple[Any, ...]] = []
    tracker = SimpleNamespace(log_metrics=lambda *point: points.append(point))
    MLflowStudy("loss")._log_best_so_far(tracker, study)
    return [(step, *values.values()) for values, step, _ in points]


def test_a_low_number_that_completes_late_only_adds_to_the_best_values_so_far() -> None:
    study = optuna.create_study()
    late = study.ask()
    for value in (0.3, 0.2):
        study.add_trial(create_trial(value=value))
    assert best_so_far(study) == [(0, 0.3), (1, 0.2)]
    study.tell(late, 0.1)
    assert best_so_far(study) == [(0, 0.3), (1, 0.2), (2, 0.1)]


def test_the_best_values_so_far_have_the_order_in_which_trials_ended_not_their_times() -> None:
    study = optuna.create_study()
    for order, value in ((3, 0.1), (1, 0.3), (2, 0.2)):
        study.add_trial(create_trial(value=value, system_attrs={END_ORDER_KEY: order}))
    assert best_so_far(study) == [(0, 0.3), (1, 0.2), (2, 0.1)]


def test_the_scores_of_a_former_winner_are_not_shown_as_those_of_the_new_one(
    study, database, tmp_path
) -> None:
    from mlflow import MlflowClient

    loaded = optuna.load_study(study_name=study.name, storage=study.storage)
    parent: str | None = None

    def shown(scored: int) -> str:
        """Return the best trial and the score on the run of the study."""
        nonlocal parent
        loaded.set_user_attr(SCORES_RECORD, Scores(scored, {"test/acc": scored / 8}).record())
        observer = MLflowStudy("acc", database, folder=tmp_path)
        parent = observer.study_opened(replace(study, parent_id=parent))
        observer.study_finished(replace(study, parent_id=parent))
        run = MlflowClient(database).get_run(parent)
        return f"{run.data.tags['best/trial']}: {run.data.metrics['test/acc']}"

    assert shown(scored=1) == "1: 0.125"
    loaded.add_trial(create_trial(value=0.9))
    assert shown(scored=1) == "4: nan"
    assert shown(scored=4) == "4: 0.5"


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


def the_warning_at_the_end(observer: MLflowStudy, study: StudyInfo, parent: str, caplog) -> str:
    """Finish a study, and return the only line that sweeper warns with."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "sweeper"):
        observer.study_finished(replace(study, parent_id=parent))
    (warning,) = [record.message for record in caplog.records if record.name[:7] == "sweeper"]
    return warning


@pytest.mark.parametrize("kind", ["away", "broken"])
def test_a_study_without_its_server_ends_with_one_line_and_is_delivered_later(
    study, database, deliver, tmp_path, caplog, broken, kind: str
) -> None:
    uri = AWAY if kind == "away" else broken
    observer = MLflowStudy("val/accuracy", uri, folder=tmp_path)
    key = observer.study_opened(study)
    run_trial(tmp_path, study, key, 0, uri)
    warning = the_warning_at_the_end(observer, study, key, caplog)
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


def test_records_of_trials_that_stay_behind_are_told(study, database, tmp_path, caplog) -> None:
    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    run_trial(tmp_path, study, parent, 0, AWAY)
    warning = the_warning_at_the_end(observer, study, parent, caplog)
    assert "the records of 1 other run are not delivered yet (" in warning
    assert "type python -m sweeper.tracking.deliver" in warning


def test_a_study_that_cannot_be_shown_ends_its_run(study, database, tmp_path, monkeypatch) -> None:
    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    monkeypatch.setattr("sweeper.sweep.picture.viewing.view_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        observer.study_finished(replace(study, parent_id=parent, has_ended=True))
    [[run], _] = runs(database, study)
    assert run.info.status == "FINISHED"


def test_each_run_that_the_study_creates_has_a_turn_of_its_own(
    study, database, tmp_path, monkeypatch
) -> None:
    from mlflow import MlflowClient

    create, turn = MlflowClient.create_run, Outbox.turn
    turns: list[int] = []

    @contextmanager
    def counted(outbox: Outbox) -> Iterator[None]:
        with turn(outbox):
            turns.append(0)
            yield

    def create_in_turn(*arguments: Any, **keys: Any) -> Any:
        with pytest.raises(BlockingIOError), locked(tmp_path / "outbox", wait=False):
            pass
        turns[-1] += 1
        return create(*arguments, **keys)

    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    monkeypatch.setattr(Outbox, "turn", counted)
    monkeypatch.setattr(MlflowClient, "create_run", create_in_turn)
    observer.study_finished(replace(study, parent_id=parent))
    assert sorted(filter(None, turns)) == [1, 1, 1, 1]


def test_a_run_that_a_trial_has_begun_meanwhile_is_not_created_again(
    study, database, tmp_path, monkeypatch
) -> None:
    search = KnownRuns.search

    def search_before_the_trial(known: KnownRuns, values: Mapping[str, str]) -> Iterator[Any]:
        found = list(search(known, values))
        if values == {tags.PARENT: parent}:
            run_trial(tmp_path, study, parent, 0, database)
        return iter(found)

    observer = MLflowStudy("val/accuracy", database, folder=tmp_path)
    parent = observer.study_opened(study)
    monkeypatch.setattr(KnownRuns, "search", search_before_the_trial)
    observer.study_finished(replace(study, parent_id=parent))
    _, found = runs(database, study)
    trials = sorted(found, key=lambda run: run.data.tags[tags.TRIAL])
    assert [run.data.tags[tags.TRIAL] for run in trials] == ["0", "1", "2", "3"]
    assert trials[0].data.metrics["loss"] == 1.0


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
            background = tracker._background
            background._closing.set()
            background._closing_others.set()
            for thread in (*background._threads, *background._threads_of_others):
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


def log_model(tracker: MLflowTracker, monkeypatch) -> None:
    """Record a model without a network, which takes seconds to export."""

    def write(build: object, folder: Path) -> None:
        from mlflow.models import Model

        folder.mkdir()
        Model().save(str(folder / "MLmodel"))

    monkeypatch.setattr("sweeper.tracking.mlflow.write_model", write)
    tracker.log_model(lambda: ServedModel(nn.Identity(), torch.zeros(2, 1, 2, 2), {}), {}, step=1)


@pytest.mark.parametrize("with_model", [True, False])
def test_the_winners_model_is_that_of_the_study(
    study, database, tmp_path, monkeypatch, with_model: bool
) -> None:
    from mlflow import MlflowClient

    name = study.name.replace("[", "-")
    observer = MLflowStudy("acc", database, folder=tmp_path, register=name)
    parent = observer.study_opened(study)
    tracker = MLflowTracker(database, folder=tmp_path)
    trial_tags = tags.of_trial(study.name, 1, parent)
    tracker.start(RunInfo(study.options["data"], "trial 1", tags=trial_tags))
    if with_model:
        log_model(tracker, monkeypatch)
    tracker.finish("FINISHED")
    page = observer.study_finished(replace(study, parent_id=parent))
    client = MlflowClient(database)
    run = client.get_run(parent)
    assert (
        page
        == f"#/experiments/{run.info.experiment_id}/runs/{parent}?workflowType=machine_learning"
    )
    note = run.data.tags["mlflow.note.content"]
    versions = client.search_model_versions(f"name = '{name}'")
    if not with_model:
        assert (run.outputs.model_outputs, list(versions)) == ([], [])
        assert "its network as a model" not in note
        return
    [output] = run.outputs.model_outputs
    [version] = versions
    model = client.get_logged_model(output.model_id)
    assert version.source == model.artifact_location
    assert model.source_run_id == tracker.run_id
    assert f"/models/{output.model_id}?" in note


def test_the_winner_of_an_ended_study_is_registered_and_a_later_winner_is_listed_with_it(
    study, database, tmp_path, monkeypatch
) -> None:
    from mlflow import MlflowClient

    client, parent, of_winners, found = MlflowClient(database), None, [], []
    for number, register in ((1, None), (None, study.name), (4, study.name)):
        observer = MLflowStudy("acc", database, folder=tmp_path, register=register)
        parent = observer.study_opened(replace(study, parent_id=parent))
        if number is not None:
            tracker = MLflowTracker(database, folder=tmp_path)
            of_trial = tags.of_trial(study.name, number, parent)
            tracker.start(RunInfo(study.options["data"], f"trial {number}", tags=of_trial))
            log_model(tracker, monkeypatch)
            tracker.finish("FINISHED")
            [own] = client.get_run(tracker.run_id).outputs.model_outputs
            of_winners.append(own.model_id)
        if number == 4:
            loaded = optuna.load_study(study_name=study.name, storage=study.storage)
            params = {"model.width": 3}
            loaded.add_trial(create_trial(params=params, distributions=SPACE, value=0.3))
        observer.study_finished(replace(study, parent_id=parent))
        run = client.get_run(parent)
        assert {output.model_id for output in run.outputs.model_outputs} == {*of_winners}
        assert f"/models/{of_winners[-1]}?" in run.data.tags["mlflow.note.content"]
        versions = client.search_model_versions(f"name = '{study.name}'")
        found.append({int(version.version): version.source for version in versions})
    first, second = (client.get_logged_model(model).artifact_location for model in of_winners)
    assert found == [{}, {1: first}, {1: first, 2: second}]


@pytest.mark.parametrize(("best", "is_said"), [(None, True), ("knee", False)])
def test_a_study_without_a_single_winner_says_that_it_registers_nothing(
    database, tmp_path, request, caplog, best, is_said
) -> None:
    storage = optuna.storages.InMemoryStorage()
    name = request.node.name.replace("[", "-")
    loaded = optuna.create_study(
        study_name=name, storage=storage, directions=["maximize", "minimize"]
    )
    for width in (1, 2, 3):
        params = {"model.width": width}
        loaded.add_trial(create_trial(params=params, distributions=SPACE, values=[width, width]))
    directions = ("maximize", "minimize")
    study = StudyInfo(name, tmp_path / "s", directions, {}, {"data": name}, 3, storage, best=best)
    observer = MLflowStudy(["acc", "size"], database, folder=tmp_path, register="mine")
    parent = observer.study_opened(study)
    observer.study_finished(replace(study, parent_id=parent))
    said = "tracking.register=mine: no model is registered, since the study has no single best"
    assert (said in caplog.text) is is_said


def test_options_of_groups_that_are_not_set_are_no_params(study, database, tmp_path) -> None:
    from mlflow import MlflowClient

    options = {"init": "default", "init@init.conv": None, "init@init.linear": "xavier_normal"}
    study = replace(study, options=study.options | options)
    observer = MLflowStudy("acc", database, folder=tmp_path)
    parent = observer.study_opened(study)
    observer.study_finished(replace(study, parent_id=parent))
    params = MlflowClient(database).get_run(parent).data.params
    assert {k: v for k, v in params.items() if k.startswith("init")} == {
        "init": "default", "init.linear": "xavier_normal"
    }  # fmt: skip


def test_a_study_of_an_older_version_whose_runs_have_all_params_goes_on(
    study, database, tmp_path, caplog
) -> None:
    from mlflow import MlflowClient

    name = study.options["data"]
    old = {"model.width": "1.0", "optimizer.lr": "0.1", "init_init.conv": "None"}

    def attempt(of: dict[str, str], params: dict[str, str], end: str | None) -> str:
        tracker = MLflowTracker(database, folder=tmp_path)
        tracker.start(RunInfo(name, params=params, tags=of))
        tracker.finish(end)
        assert tracker.run_id is not None
        return tracker.run_id

    parent = attempt({tags.STUDY: study.name}, old | {"space/model.width": "{}"}, "KILLED")
    of_trial = tags.of_trial(study.name, 0, parent)
    paused = attempt(of_trial, old, "KILLED")
    client = MlflowClient(database)
    experiment = client.get_run(parent).info.experiment_id
    # An older version made this run, for a trial that never ran.
    made = client.create_run(experiment, tags=tags.of_trial(study.name, 2, parent)).info.run_id
    client.log_param(made, "model.width", "2.0")
    caplog.clear()

    space = {"model.width": distribution_to_json(SPACE["model.width"])}
    study = replace(study, space=space, options={"data": name, "init@init.conv": None})
    observer = MLflowStudy("acc", database, folder=tmp_path)
    assert observer.study_opened(replace(study, parent_id=parent)) == parent
    assert attempt(of_trial, {"model.width": "1.0"}, "FINISHED") == paused
    observer.study_finished(replace(study, parent_id=parent))
    assert [r.message for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []
    assert client.get_run(made).data.params == {"model.width": "2.0"}
    assert client.get_run(paused).data.params == old
    assert client.get_run(paused).info.status == "FINISHED"
    assert client.get_run(parent).data.metrics["trials/complete"] == 3


@pytest.mark.parametrize("comes_late", [False, True])
def test_a_winner_that_is_still_with_the_courier_is_told(
    study, database, tmp_path, caplog, monkeypatch, comes_late
) -> None:
    observer = MLflowStudy("val/accuracy", database, folder=tmp_path, register="late")
    parent = observer.study_opened(study)
    outbox = Outbox.create(tmp_path / "outbox")
    start = {
        "uri": database,
        "experiment": study.name,
        "tags": tags.of_trial(study.name, 1, parent),
    }
    outbox.append("start", start)
    delivery, finish = Delivery(outbox), MLflowTracker.finish

    def finish_after_delivery(*arguments: Any) -> None:
        delivery.is_done = comes_late
        finish(*arguments)

    monkeypatch.setattr(MLflowTracker, "finish", finish_after_delivery)
    with caplog.at_level(logging.WARNING, "sweeper"):
        observer.finish(replace(study, parent_id=parent), lambda: [delivery])
    *waiting, model = [each.message for each in caplog.records if each.name[:7] == "sweeper"]
    assert len(waiting) == (not comes_late)
    for line in waiting:
        assert "the records of 1 other run are not delivered yet (30 seconds were" in line
        assert "type python -m sweeper.tracking.deliver" in line
    assert "tracking.register=late: the model of trial 1 may not be registered" in model
    assert model.endswith("type the same command again")
