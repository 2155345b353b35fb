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
    """A store that fails `failures` times, then records its calls; it refuses metrics `bad`."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
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
    assert sending.attempt_abandoned()
    assert store.seen == []
    assert outbox.folder.exists()
