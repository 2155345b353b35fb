"""Several attempts at one run, delivered in any order to a real MLflow database."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeper.tracking import tags
from sweeper.tracking.delivered import Progress
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.outbox import Outbox, abandoned_outboxes
from sweeper.tracking.store import MLflowStore

STUDY_TAGS = {tags.STUDY: "s"}


class Server:
    """The runs of one experiment, and delivery to it of what was recorded while it was away."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.uri, self.experiment, self.client = uri, experiment, MlflowClient(uri)

    def deliver(self, outbox: Outbox, close: bool = True) -> None:
        def connect(uri: str, folder: Path) -> MLflowStore:
            return MLflowStore(self.uri, folder)

        delivery = Delivery(outbox, connect)
        assert delivery.attempt(), delivery.failure
        if close:
            delivery.close()

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.experiment)
        return list(self.client.search_runs([experiment.experiment_id]))


@pytest.fixture
def server(database: str) -> Server:
    return Server(database, uuid.uuid4().hex)


@pytest.fixture
def attempt(tmp_path: Path, server: Server) -> Callable[..., Outbox]:
    """Return a function that records an attempt at a run; its records are seconds apart."""
    seconds = itertools.count(1000)

    def record(
        *records: tuple[str, dict[str, Any]],
        status: str | None = "FINISHED",
        reason: str = "",
        **start: Any,
    ) -> Outbox:
        outbox = Outbox.create(tmp_path / "outbox")
        body = {"uri": "http://127.0.0.1:1", "experiment": server.experiment, "params": {"lr": "1"}}
        finish = {"status": status, "reason": reason}
        for op, content in [
            ("start", body | start),
            *records,
            *([("finish", finish)] if status else []),
        ]:
            outbox.append(op, content, next(seconds) * 1000)  # type: ignore[arg-type]
        return outbox

    return record


def metric(step: int) -> tuple[str, dict[str, Any]]:
    return "metrics", {"metrics": {"loss": 1.0 / step}, "step": step}


def of_trial(label: int | str, parent: str) -> dict[str, str]:
    return tags.of_trial("s", label, parent)


def steps(server: Server, run_id: str) -> list[int]:
    return [point.step for point in server.client.get_metric_history(run_id, "loss")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("label", [None, "3", "3 seed 1"])  # a resumed run has none
def test_attempts_are_one_run_with_the_last_end_in_every_order_of_delivery(
    attempt, server: Server, order: Sequence[int], label: str | None
) -> None:
    first_tags = of_trial(label, f"20260101-{uuid.uuid4().hex}") if label else {}
    first = attempt(metric(1), ("tags", {"tags": {tags.STATE: "paused"}}), status="KILLED",
                    reason="interrupted", tags=first_tags)  # fmt: skip
    key = None if label else first.folder.name
    attempts = [
        first,
        attempt(metric(2), status="FAILED", reason="it broke", tags=first_tags, run_id=key),
        attempt(metric(3), tags=first_tags, run_id=key),
    ]
    for index in order:
        server.deliver(attempts[index])
    (run,) = server.runs()
    assert run.info.status == "FINISHED"
    assert not {tags.STATE, tags.END_REASON} & run.data.tags.keys()
    assert steps(server, run.info.run_id) == [1, 2, 3]
    assert run.data.tags.get(tags.OUTBOX) in {outbox.folder.name for outbox in attempts}


def test_each_seed_of_a_trial_is_a_run_of_its_own(attempt, server: Server) -> None:
    labels = ["3", "3 seed 1", "3 seed 10"]
    for label in [*labels, *labels]:
        server.deliver(attempt(tags=of_trial(label, "20260101-abc")))
    assert sorted(run.data.tags[tags.TRIAL] for run in server.runs()) == labels


def test_an_attempt_that_still_runs_is_not_ended_by_an_earlier_one(attempt, server: Server) -> None:
    first = attempt(metric(1), status="KILLED")
    second = attempt(metric(2), status=None, run_id=first.folder.name)
    server.deliver(second)
    server.deliver(first)
    (run,) = server.runs()
    assert run.info.status == "RUNNING"
    assert steps(server, run.info.run_id) == [1, 2]


def test_an_earlier_attempts_artifact_does_not_replace_a_later_one(
    attempt, server: Server, tmp_path: Path
) -> None:
    first = attempt(status=None)
    second = attempt(status=None, run_id=first.folder.name)
    for outbox, names in ((first, ["best.pt", "old.pt"]), (second, ["best.pt"])):
        for name in names:
            (tmp_path / name).write_text(outbox.folder.name)
            path = outbox.keep_file(tmp_path / name)
            (tmp_path / name).unlink()
            outbox.append("artifact", {"path": path, "folder": "checkpoints"})
    server.deliver(second)
    server.deliver(first)
    (run,) = server.runs()
    fetched = Path(server.client.download_artifacts(run.info.run_id, "checkpoints"))
    contents = {path.name: path.read_text() for path in fetched.iterdir()}
    assert contents == {"best.pt": second.folder.name, "old.pt": first.folder.name}


def test_a_run_with_other_parameters_is_another_run_and_both_end(attempt, server: Server) -> None:
    first = attempt(metric(1), status="KILLED")
    second = attempt(metric(2), run_id=first.folder.name, params={"lr": "2"})
    server.deliver(first)
    server.deliver(second)
    new, old = sorted(server.runs(), key=lambda run: str(run.data.params["lr"]), reverse=True)
    assert [new.info.status, old.info.status] == ["FINISHED", "KILLED"]
    assert new.data.tags[tags.RESUMED_FROM] == old.info.run_id


def test_an_outbox_that_lost_its_position_is_delivered_again_without_a_trace(
    attempt, server: Server
) -> None:
    first = attempt(metric(1), status="KILLED", reason="interrupted")
    second = attempt(metric(2), run_id=first.folder.name)
    for outbox in (first, second, first):
        outbox.progress = Progress()
        server.deliver(outbox, close=False)
    (run,) = server.runs()
    assert (run.info.status, steps(server, run.info.run_id)) == ("FINISHED", [1, 2])


@pytest.mark.parametrize("parent_first", [True, False])
def test_trials_are_children_whichever_is_delivered_first(
    attempt, server: Server, parent_first: bool
) -> None:
    parent = attempt(tags=STUDY_TAGS, name="s")
    trials = [attempt(metric(1), tags=of_trial(n, parent.folder.name)) for n in range(2)]
    for outbox in [parent, *trials] if parent_first else [*trials, parent]:
        server.deliver(outbox)
    (study,) = [run for run in server.runs() if run.info.run_name == "s"]
    children = [run for run in server.runs() if run.data.tags.get(tags.PARENT) == study.info.run_id]
    assert sorted(run.data.tags[tags.TRIAL] for run in children) == ["0", "1"]


def test_trials_in_another_experiment_are_children_too(attempt, server: Server) -> None:
    parent = attempt(tags=STUDY_TAGS, experiment=server.experiment + "-other")
    server.deliver(attempt(tags=of_trial(0, parent.folder.name)))
    server.deliver(parent)
    server.deliver(attempt(tags=of_trial(1, parent.folder.name)))
    assert len({run.data.tags[tags.PARENT] for run in server.runs()}) == 1


def test_the_outboxes_of_studies_are_delivered_after_those_of_their_trials(
    attempt, tmp_path: Path
) -> None:
    study = attempt(tags=STUDY_TAGS)
    trial = attempt(tags=of_trial(0, study.folder.name))
    for outbox in (study, trial):
        outbox.release()
    taken = [outbox.folder for outbox in abandoned_outboxes(tmp_path / "outbox")]
    assert taken == [trial.folder, study.folder]


def end_of_trial(number: int, status: str, **keys: Any) -> dict[str, Any]:
    return {"number": number, "status": status, **keys}


def reconcile(*trials: dict[str, Any], key: str | None = None) -> tuple[str, dict[str, Any]]:
    return "reconcile", {"study": "s", "study_key": key, "trials": list(trials)}


@pytest.mark.parametrize("study_first", [True, False])
def test_a_trials_records_that_come_after_the_studys_view_of_it_fill_its_run(
    attempt, server: Server, study_first: bool
) -> None:
    """So it is when a trial's records wait on another machine than those of its study."""
    opened = attempt(status=None, tags=STUDY_TAGS)
    trial = attempt(metric(1), status="KILLED", reason="pruned", name="trial 4",
                    tags=of_trial(4, opened.folder.name) | {"model": "mlp"})  # fmt: skip
    end = end_of_trial(
        4, "KILLED", params={"lr": "one"}, metrics={"best/loss": 1.0}, curve={"loss": {"1": 1.0}}
    )
    closed = attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name)
    for outbox in [closed, opened, trial] if study_first else [trial, opened, closed]:
        server.deliver(outbox)
    parent, child = sorted(server.runs(), key=lambda run: tags.TRIAL in run.data.tags)
    assert child.data.tags[tags.PARENT] == parent.info.run_id
    assert child.data.tags["model"] == "mlp"
    assert child.data.tags[tags.END_REASON] == "pruned"
    assert child.info.status == "KILLED"
    history = server.client.get_metric_history(child.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0)]
    assert parent.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("own", "status"), [({}, "FINISHED"), ({tags.TRIAL: "1"}, "FAILED")], ids=["study", "trial"]
)
def test_a_study_finishes_although_a_later_command_failed(
    attempt, server: Server, own, status
) -> None:
    server.deliver(first := attempt(status=None, tags=own), close=False)
    later = attempt(status="FAILED", reason="no space", run_id=first.folder.name, tags=own)
    server.deliver(later)
    first.append("finish", {"status": "FINISHED", "reason": ""}, 9_000_000)
    server.deliver(first)
    [run] = server.runs()
    assert run.info.status == status
    assert run.data.tags.get(tags.END_REASON) == ("no space" if status == "FAILED" else None)


def test_an_epoch_that_a_later_attempt_repeats_is_logged_once(attempt, server: Server) -> None:
    def epoch(step: int, **more: float) -> tuple[str, dict[str, Any]]:
        return "metrics", {"metrics": {"acc": step / 4, **more}, "step": step}

    server.deliver(first := attempt(epoch(1), epoch(2), status="KILLED"), close=False)
    later = (epoch(2), epoch(3), epoch(1, acc=0.75, loss=0.5))
    server.deliver(attempt(*later, run_id=first.folder.name))
    [run] = server.runs()
    assert accuracies(server, run) == [(1, 0.25), (2, 0.5), (3, 0.75), (1, 0.75)]
    assert run.data.metrics["loss"] == 0.5


def test_system_metrics_of_a_later_attempt_go_on_and_hide_no_repeated_epoch(
    attempt, server: Server
) -> None:
    def measured(step: int) -> tuple[str, dict[str, Any]]:
        return "metrics", {"metrics": {"system/cpu": 0.5, "system/disk": 0.5}, "step": step}

    first = attempt(measured(0), metric(1), metric(2), measured(1), status="KILLED")
    later = attempt(measured(0), metric(2), measured(1), metric(3), run_id=first.folder.name)
    for outbox in (first, later, later):
        outbox.progress = Progress()
        server.deliver(outbox, close=False)
    [run] = server.runs()
    assert steps(server, run.info.run_id) == [1, 2, 3]
    for name in ("system/cpu", "system/disk"):
        history = server.client.get_metric_history(run.info.run_id, name)
        assert sorted(point.step for point in history) == [0, 1, 2, 3]


def test_an_epoch_that_is_repeated_is_logged_once_by_the_next_owner_of_the_outbox_too(
    attempt, server: Server
) -> None:
    server.deliver(first := attempt(metric(1), metric(2), status="KILLED"))
    later = attempt(metric(1), status=None, run_id=first.folder.name)
    server.deliver(later, close=False)
    later.append(*metric(2))
    later.append(*metric(3))
    server.deliver(later, close=False)  # another delivery than that of its start
    [run] = server.runs()
    assert steps(server, run.info.run_id) == [1, 2, 3]


PAUSED = {"params": {"lr": "1"}, "state": "paused", "reason": "paused", "ended": 2_000_000}


def accuracies(server: Server, run: Any) -> list[tuple[int, float]]:
    history = server.client.get_metric_history(run.info.run_id, "acc")
    return [(point.step, point.value) for point in history]


def test_a_paused_trial_that_has_no_records_is_there_as_the_study_knows_it(
    attempt, server: Server
) -> None:
    opened = attempt(status=None, tags=STUDY_TAGS)
    trial = end_of_trial(4, "KILLED", **PAUSED, curve={"acc": {"1": 0.5, "2": 0.75}})
    for _ in range(2):
        server.deliver(attempt(reconcile(trial), tags=STUDY_TAGS, run_id=opened.folder.name))
    [child] = [run for run in server.runs() if tags.TRIAL in run.data.tags]
    assert (child.info.status, child.info.end_time) == ("KILLED", 2_000_000)
    assert child.data.tags[tags.STATE] == child.data.tags[tags.END_REASON] == "paused"
    assert accuracies(server, child) == [(1, 0.5), (2, 0.75)]


def test_the_first_steps_of_a_trial_that_went_on_in_a_new_database_are_added(
    attempt, server: Server
) -> None:
    opened = attempt(status=None, tags=STUDY_TAGS)
    server.deliver(opened, close=False)
    third = ("metrics", {"metrics": {"acc": 0.875}, "step": 3})
    server.deliver(attempt(third, name="trial 4", tags=of_trial(4, opened.folder.name)))
    curve = {"acc": {"1": 0.5, "2": 0.75, "3": 0.875}}
    end = end_of_trial(4, "FINISHED", began=1, curve=curve, state="complete")
    server.deliver(attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name))
    [child] = [run for run in server.runs() if tags.TRIAL in run.data.tags]
    assert sorted(accuracies(server, child)) == [(1, 0.5), (2, 0.75), (3, 0.875)]


def test_a_paused_trial_that_goes_on_elsewhere_is_not_ended(attempt, server: Server) -> None:
    opened = attempt(status=None, tags=STUDY_TAGS)
    server.deliver(opened, close=False)
    server.deliver(attempt(status=None, tags=of_trial(4, opened.folder.name)), close=False)
    end = end_of_trial(4, "KILLED", **PAUSED)
    server.deliver(attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name))
    [child] = [run for run in server.runs() if tags.TRIAL in run.data.tags]
    assert child.info.status == "RUNNING"


def test_a_dead_workers_records_do_not_change_the_end_that_the_study_gave_its_trial(
    attempt, server: Server
) -> None:
    opened = attempt(status=None, tags=STUDY_TAGS)
    dead = attempt(metric(1), status=None, tags=of_trial(0, opened.folder.name))
    server.deliver(dead, close=False)
    end = end_of_trial(0, "FAILED", reason="its worker died")
    server.deliver(attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name))
    dead.append("finish", {"status": "KILLED", "reason": "the process was killed"})
    server.deliver(dead)
    (child,) = [run for run in server.runs() if tags.TRIAL in run.data.tags]
    assert child.info.status == "FAILED"
    assert child.data.tags[tags.END_REASON] == "its worker died"


def test_best_tags_replace_those_of_another_best_trial(attempt, server: Server) -> None:
    def best(**values: str) -> tuple[str, dict[str, Any]]:
        named = {f"best/{name}": value for name, value in values.items()}
        return "tags", {"tags": named, "prefix": "best/"}

    first = attempt(best(model="lenet", kernel_size="3"), tags=STUDY_TAGS)
    again = attempt(best(model="mlp"), tags=STUDY_TAGS, run_id=first.folder.name)
    for outbox in (again, first):
        server.deliver(outbox)
    (run,) = server.runs()
    assert {n: v for n, v in run.data.tags.items() if n.startswith("best/")} == {
        "best/model": "mlp"
    }
    server.deliver(attempt(best(lr="1"), tags=STUDY_TAGS, run_id=first.folder.name))
    (run,) = server.runs()
    assert {n: v for n, v in run.data.tags.items() if n.startswith("best/")} == {"best/lr": "1"}


def test_a_study_of_an_older_version_is_found_by_its_id(attempt, server: Server) -> None:
    first = attempt(tags=STUDY_TAGS)
    server.deliver(first)
    (old,) = server.runs()
    trial = attempt(tags=of_trial(0, old.info.run_id))
    server.deliver(attempt(tags=STUDY_TAGS, run_id=old.info.run_id))
    server.deliver(trial)
    runs = server.runs()
    assert len(runs) == 2
    assert {run.data.tags.get(tags.PARENT) for run in runs} == {None, old.info.run_id}


def test_the_records_are_in_mlflow_at_once_whatever_is_set_for_others(
    attempt, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.setattr(
        "mlflow.store.tracking.abstract_store.AbstractStore.set_tag_async",
        lambda *_: pytest.fail("a tag is set later"),
    )
    failed = end_of_trial(1, "FAILED", state="complete", reason="it broke")
    reconcile = ("reconcile", {"study": "s", "trials": [failed], "note": "a note"})
    study = attempt(reconcile, tags=STUDY_TAGS)
    for _ in range(2):
        server.deliver(attempt(tags=of_trial(0, study.folder.name), reason="done"))
    server.deliver(study)
    parent = next(run for run in server.runs() if tags.is_study(run.data.tags))
    trials = [run for run in server.runs() if run.data.tags.get(tags.PARENT) == parent.info.run_id]
    assert {run.data.tags[tags.END_REASON] for run in trials} == {"done", "it broke"}


def test_a_trial_is_in_the_experiment_of_its_study(attempt, server: Server) -> None:
    parent = attempt(tags=STUDY_TAGS)
    server.deliver(parent)
    server.deliver(attempt(tags=of_trial(0, parent.folder.name), experiment="of-its-own"))
    assert len(server.runs()) == 2
    assert server.client.get_experiment_by_name("of-its-own") is None


HISTORY = [{"loss": 1.0}, {"loss": 0.5}]


@pytest.mark.parametrize("is_known_by", ["id", "key"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_run_that_cannot_be_continued_begins_with_its_epochs(
    attempt, server: Server, is_gone: bool, is_known_by: str
) -> None:
    server.deliver(outbox := attempt(metric(1), metric(2), status="KILLED"))
    (first,) = server.runs()
    if is_gone:
        server.client.delete_run(first.info.run_id)
    reference = first.info.run_id if is_known_by == "id" else outbox.folder.name
    second = attempt(metric(3), run_id=reference, history=HISTORY)
    for _ in range(2):
        second.progress = Progress()
        server.deliver(second, close=False)
    (run,) = server.runs()
    assert (run.info.run_id == first.info.run_id) is not is_gone
    assert steps(server, run.info.run_id) == [1, 2, 3]


def test_a_trial_that_goes_on_in_a_new_database_begins_with_its_epochs(
    attempt, server: Server
) -> None:
    """Its checkpoint is that of a run on another server, so it refers to no run here."""
    opened = attempt(status=None, tags=STUDY_TAGS)
    server.deliver(opened, close=False)
    end = end_of_trial(4, "KILLED", **PAUSED)
    by_study = attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name)
    of_trials = [attempt(metric(3), tags=of_trial(n, opened.folder.name), history=HISTORY)
                 for n in (4, 5)]  # fmt: skip
    for outbox in (by_study, *of_trials):
        server.deliver(outbox)
    trials = [run for run in server.runs() if tags.TRIAL in run.data.tags]
    assert [steps(server, run.info.run_id) for run in trials] == [[1, 2, 3]] * 2


def test_the_first_attempt_that_comes_after_one_that_goes_on_repeats_no_epoch(
    attempt, server: Server
) -> None:
    first = attempt(metric(1), metric(2), status="KILLED")
    second = attempt(metric(3), run_id=first.folder.name, history=HISTORY)
    for outbox in (second, first):
        server.deliver(outbox)
    (run,) = server.runs()
    assert steps(server, run.info.run_id) == [1, 2, 3]


@pytest.mark.parametrize(("status", "state"), [("FINISHED", "complete"), ("KILLED", "pruned")])
def test_a_trial_that_the_study_ends_has_no_tags_of_an_earlier_end(
    attempt, server: Server, status: str, state: str
) -> None:
    """It was paused, and went on where its records wait."""
    opened = attempt(status=None, tags=STUDY_TAGS)
    server.deliver(opened, close=False)
    paused = ("tags", {"tags": {tags.STATE: "paused"}})
    link = of_trial(4, opened.folder.name)
    server.deliver(attempt(paused, status="KILLED", reason="paused", tags=link))
    late = attempt(("tags", {"tags": {tags.STATE: state}}), status=status, tags=link)
    end = end_of_trial(4, status, state=state)
    server.deliver(attempt(reconcile(end), tags=STUDY_TAGS, run_id=opened.folder.name))
    for deliver_late in (False, True):
        if deliver_late:
            server.deliver(late)
        [run] = [run for run in server.runs() if tags.TRIAL in run.data.tags]
        assert (run.info.status, run.data.tags[tags.STATE]) == (status, state)
        assert tags.END_REASON not in run.data.tags


def test_a_server_that_leaves_while_a_run_is_taken_up_keeps_no_tag_of_its_earlier_end(
    attempt, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    paused = ("tags", {"tags": {tags.STATE: "paused"}})
    server.deliver(first := attempt(paused, status="KILLED", reason="paused"))
    second = attempt(run_id=first.folder.name)

    def leave(*_: object) -> None:
        raise ConnectionError("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "delete_tag", leave)
        delivery = Delivery(second, lambda _, folder: MLflowStore(server.uri, folder))
        assert not delivery.attempt()
    server.deliver(second)
    (run,) = server.runs()
    assert run.info.status == "FINISHED"
    assert not {tags.STATE, tags.END_REASON} & run.data.tags.keys()
