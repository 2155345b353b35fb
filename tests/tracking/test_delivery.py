import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeper.tracking.delivery import Delivery, deliver_abandoned, deliver_until_closed
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import RefusedError


class FakeStore:
    """A store that fails `failures` times, then records its calls; it refuses metrics `bad`.

    It cannot store files whose names are in `too_hard`.
    """

    def __init__(self, failures: int = 0, *too_hard: str) -> None:
        self.failures, self.too_hard = failures, too_hard
        self.seen: list[Any] = []

    def connect(self, uri: str, folder: Path) -> "FakeStore":
        return self

    def start(self, record: Record, key: str) -> str:
        self._fail()
        self.seen.append("start")
        return "run"

    def log_metrics(self, run_id: str, records: Sequence[Record], started: int) -> None:
        self._fail()
        if any("bad" in record.body["metrics"] for record in records):
            raise RefusedError("a bad name")
        self.seen.append([record.body["step"] for record in records])

    def set_tags(
        self, run_id: str, tags: Mapping[str, str], prefix: str | None, started: int
    ) -> None:
        self.seen.append(tags)

    def log_artifacts(self, run_id: str, files: Sequence[tuple[Path, str]], started: int) -> None:
        if any(path.name in self.too_hard for path, _ in files):
            raise PermissionError("there is no bucket")
        self.seen += [(path.read_text(), folder) for path, folder in files]

    def finish(self, run_id: str, status: str, reason: str, time: int, started: int) -> None:
        self._fail()
        self.seen.append(status)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("connection refused")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("start", {"uri": "fake", "experiment": "digits"})
    return outbox


def metrics(outbox: Outbox, *steps: int, name: str = "loss") -> None:
    for step in steps:
        outbox.append("metrics", {"metrics": {name: 1.0}, "step": step})


def end(outbox: Outbox) -> None:
    outbox.append("finish", {"status": "FINISHED", "reason": ""})


def artifact(outbox: Outbox, name: str, content: str) -> None:
    path = outbox.folder.parent.parent / "logged" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    outbox.append("artifact", {"path": outbox.keep_file(path), "folder": "f"})
    path.unlink()


def delivery(outbox: Outbox, store: FakeStore) -> Delivery:
    return Delivery(outbox, store.connect)  # type: ignore[arg-type]


def test_pending_metrics_are_sent_in_one_batch(outbox: Outbox) -> None:
    store = FakeStore()
    metrics(outbox, 0, 1, 2)
    outbox.append("tags", {"tags": {"a": "b"}})
    metrics(outbox, 3)
    assert delivery(outbox, store).attempt()
    assert store.seen == ["start", [0, 1, 2], {"a": "b"}, [3]]


def test_delivered_records_are_not_sent_again(outbox: Outbox) -> None:
    store = FakeStore()
    metrics(outbox, 0)
    delivery(outbox, store).attempt()
    metrics(outbox, 1)
    delivery(outbox, store).attempt()
    assert store.seen == ["start", [0], [1]]


def test_records_stay_pending_while_the_server_is_unreachable(outbox: Outbox) -> None:
    store = FakeStore(failures=2)
    metrics(outbox, 0)
    sending = delivery(outbox, store)
    assert not sending.attempt()
    assert sending.failure == "connection refused"
    assert not sending.attempt()
    assert sending.attempt()
    assert sending.failure is None
    assert store.seen == ["start", [0]]


def test_a_refused_record_is_named_and_kept_aside(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    store = FakeStore()
    metrics(outbox, 0)
    metrics(outbox, 1, name="bad")
    metrics(outbox, 2)
    assert delivery(outbox, store).attempt()
    assert store.seen == ["start", [0], [2]]
    assert "refused a record of metrics: a bad name" in caplog.text
    kept = outbox.folder.parent / "damaged" / outbox.folder.name / "records.jsonl"
    assert [json.loads(line)["body"]["step"] for line in kept.read_text().splitlines()] == [1]


@pytest.mark.parametrize(
    ("failures", "exists"), [(0, False), (1, True)], ids=["delivered", "unreachable"]
)
def test_closing_removes_only_a_delivered_outbox(
    outbox: Outbox, failures: int, exists: bool
) -> None:
    end(outbox)
    closing = threading.Event()
    closing.set()
    deliver_until_closed(delivery(outbox, FakeStore(failures)), closing)
    assert outbox.folder.exists() == exists


def test_the_records_of_a_killed_owner_are_delivered_as_a_killed_run(
    outbox: Outbox, tmp_path: Path
) -> None:
    path = tmp_path / "best.pt"
    path.write_text("weights")
    outbox.append("artifact", {"path": outbox.keep_file(path), "folder": "checkpoints"})
    path.unlink()
    outbox.release()
    reopened = Outbox.take_over(outbox.folder)
    assert reopened is not None
    store = FakeStore()
    assert delivery(reopened, store).attempt()
    assert store.seen == ["start", ("weights", "checkpoints"), "KILLED"]


@pytest.mark.parametrize(("n", "more"), [(4, "3 more records"), (2, "1 more record")])
def test_records_of_a_deleted_run_cost_two_lines(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, n: int, more: str
) -> None:
    sending = delivery(outbox, FakeStore())
    for step in range(n):
        metrics(outbox, step, name="bad")
        assert sending.attempt()
    sending.close()
    first, rest = [r.getMessage() for r in caplog.records]
    assert "refused a record of metrics: a bad name" in first
    assert rest == f"MLflow refused {more} of {outbox.folder.name}"
    kept = outbox.folder.parent / "damaged" / outbox.folder.name / "records.jsonl"
    assert len(kept.read_text().splitlines()) == n


def test_a_file_that_cannot_be_uploaded_holds_back_no_other_record(outbox: Outbox) -> None:
    for name in ("before", "hard", "after"):
        artifact(outbox, name, name)
    metrics(outbox, 0)
    artifact(outbox, "last", "last")
    end(outbox)
    store = FakeStore(0, "hard")
    sending = delivery(outbox, store)
    assert not sending.attempt()
    assert (sending.failure, sending.is_away) == ("there is no bucket", False)
    easy = [(name, "f") for name in ("before", "after", "last")]
    assert store.seen == ["start", [0], "FINISHED", *easy]
    sending.close()
    assert not sending.is_done
    store.too_hard = ()
    later = delivery(outbox, store)
    assert later.attempt_abandoned(), later.failure
    assert store.seen == ["start", [0], "FINISHED", *easy, ("hard", "f")]
    assert not outbox.folder.exists()


def test_files_whose_place_hangs_are_tried_one_by_one(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    class Hanging(FakeStore):
        def log_artifacts(self, run_id: str, files: Sequence[Any], started: int) -> None:
            tried.extend(path.name for path, _ in files)
            super().log_artifacts(run_id, files, started)

    for name in ("a", "b"):
        artifact(outbox, name, name)
    metrics(outbox, 0)
    sending = delivery(outbox, store := Hanging(0, "a", "b"))
    monkeypatch.setattr("sweeper.tracking.delivery.HANG_SECONDS", -1.0)
    assert not sending.attempt()
    assert store.seen == ["start", [0]]
    tried.clear()
    assert not sending.attempt()
    assert tried == ["a"]


def test_of_the_files_of_one_name_that_wait_the_last_one_is_uploaded(outbox: Outbox) -> None:
    store = FakeStore(0, "best.pt")
    sending = delivery(outbox, store)
    for epoch in ("1", "2"):
        artifact(outbox, "best.pt", epoch)
        assert not sending.attempt()
    store.too_hard = ()
    artifact(outbox, "best.pt", "3")
    assert sending.attempt(), sending.failure
    assert store.seen == ["start", ("3", "f")]
    end(outbox)
    assert sending.attempt()
    sending.close()
    assert sending.is_done


def test_a_run_that_ends_while_an_upload_fails_is_ended(outbox: Outbox) -> None:
    closing = threading.Event()

    class Ending(FakeStore):
        def log_artifacts(self, *arguments: Any) -> None:
            if not closing.is_set():
                end(outbox)
                closing.set()
            super().log_artifacts(*arguments)

    artifact(outbox, "hard", "")
    store = Ending(0, "hard")
    deliver_until_closed(delivery(outbox, store), closing)
    assert store.seen == ["start", "FINISHED"]
    assert outbox.folder.exists()


def test_a_file_that_was_refused_does_not_wait(outbox: Outbox) -> None:
    class Refusing(FakeStore):
        def log_artifacts(self, run_id: str, files: Sequence[Any], started: int) -> None:
            if any(path.name == "large" for path, _ in files):
                raise RefusedError("413 Request Entity Too Large")
            super().log_artifacts(run_id, files, started)

    for name in ("large", "small"):
        artifact(outbox, name, name)
    end(outbox)
    store = Refusing()
    sending = delivery(outbox, store)
    assert sending.attempt(), sending.failure
    assert store.seen == ["start", ("small", "f"), "FINISHED"]
    sending.close()
    kept = outbox.folder.parent / "damaged" / outbox.folder.name / "files"
    assert [path.read_text() for path in sorted(kept.rglob("l*"))] == ["large"]


def test_an_outbox_that_waits_for_the_next_try_is_free(outbox: Outbox) -> None:
    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            other = Outbox.take_over(outbox.folder)
            assert other is not None
            other.release()
            return False

    outbox.release()
    store = FakeStore(failures=2)
    deliver_abandoned([delivery(outbox, store)], Closing())
    assert store.seen == ["start", "KILLED"]
    assert not outbox.folder.exists()


def test_an_outbox_that_another_process_has_taken_over_is_left_to_it(outbox: Outbox) -> None:
    sending = delivery(outbox, store := FakeStore())  # `outbox` is the owner
    assert not sending.attempt_abandoned()
    assert (sending.is_done, sending.failure) == (False, "another process is delivering it")
    assert store.seen == []
    outbox.remove()
    assert sending.attempt_abandoned()
    assert (sending.is_done, sending.failure) == (True, None)
