import io
from pathlib import Path

import pytest

from sweeper.tracking.outbox import Outbox, leftovers

START = {"run_id": None}


class HalfWriter(io.FileIO):
    """A file on a disk that fills up in the middle of a write."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return super().write(data[: len(data) // 2])


def steps(outbox: Outbox) -> list[int]:
    return [record.body["step"] for record in outbox.pending()]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.create(tmp_path / "outbox")


def test_records_are_read_back_in_order(outbox: Outbox) -> None:
    for step in range(3):
        outbox.append("metrics", {"step": step})
    assert steps(outbox) == [0, 1, 2]


def test_values_that_are_not_finite_are_kept(outbox: Outbox) -> None:
    outbox.append("metrics", {"metrics": {"loss": float("nan"), "lr": float("inf")}})
    values = outbox.pending()[0].body["metrics"]
    assert str(values) == "{'loss': nan, 'lr': inf}"


def test_a_delivered_record_does_not_wait_any_more_for_the_next_owner(outbox: Outbox) -> None:
    outbox.append("start", START)
    outbox.append("metrics", {"step": 0})
    outbox.append("metrics", {"step": 1})
    outbox.mark(outbox.pending()[1], "run")
    outbox.release()
    taken = Outbox.take_over(outbox.folder)
    assert taken is not None
    assert taken.delivered.run_id == "run"
    assert [record.op for record in taken.pending()] == ["metrics", "finish"]


def test_a_line_torn_by_a_crash_is_dropped_and_the_lines_before_it_are_kept(
    outbox: Outbox,
) -> None:
    outbox.append("start", START)
    outbox.append("metrics", {"step": 7})
    outbox.release()
    with (outbox.folder / "records.jsonl").open("a") as file:
        file.write('{"op": "metrics", "time": 5, "bo')
    taken = Outbox.take_over(outbox.folder)
    assert taken is not None
    assert [record.op for record in taken.pending()] == ["start", "metrics", "finish"]


@pytest.mark.parametrize(
    ("last", "status"), [("metrics", "KILLED"), ("finish", "FINISHED")], ids=["dead", "ended"]
)
def test_only_a_run_without_an_end_is_ended_as_killed(
    outbox: Outbox, last: str, status: str
) -> None:
    outbox.append("start", START)
    outbox.append("finish" if last == "finish" else "metrics", {"status": "FINISHED"}, 1234)
    outbox.release()
    taken = Outbox.take_over(outbox.folder)
    assert taken is not None
    end = taken.pending()[-1]
    assert (end.op, end.time, end.body["status"]) == ("finish", 1234, status)


def test_a_live_owners_outbox_is_not_taken(outbox: Outbox) -> None:
    assert leftovers(outbox.folder.parent) == []
    outbox.release()
    assert [left.folder for left in leftovers(outbox.folder.parent)] == [outbox.folder]


def test_a_kept_file_outlives_its_replacement(outbox: Outbox, tmp_path: Path) -> None:
    path, newer = tmp_path / "best.pt", tmp_path / "newer"
    path.write_text("first")
    newer.write_text("second")
    kept = outbox.keep(path)
    newer.replace(path)
    assert (outbox.folder / kept).read_text() == "first"


def test_the_folder_goes_with_the_last_outbox(outbox: Outbox) -> None:
    other = Outbox.create(outbox.folder.parent)
    outbox.remove()
    assert list(other.folder.parent.iterdir()) == [other.folder]
    other.remove()
    assert not other.folder.parent.exists()


def test_a_run_that_another_outbox_continues_is_known(outbox: Outbox) -> None:
    outbox.append("start", START)
    outbox.mark(outbox.pending()[0], "run")
    assert not outbox.continued_elsewhere()
    Outbox.create(outbox.folder.parent).append("start", {"run_id": "run"})
    assert outbox.continued_elsewhere()


def test_a_record_that_does_not_fit_the_disk_leaves_no_half_of_it(
    outbox: Outbox,
) -> None:
    outbox.append("metrics", {"step": 0})
    whole = outbox._file
    outbox._file = HalfWriter(outbox.folder / "records.jsonl", "a+")
    with outbox._file, pytest.raises(OSError, match="full disk"):
        outbox.append("metrics", {"step": 1})
    outbox._file = whole
    outbox.append("metrics", {"step": 2})
    assert steps(outbox) == [0, 2]


def test_a_damaged_outbox_is_left_and_named(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.release()
    (outbox.folder / "records.jsonl").write_bytes(b"\0\0\n")
    assert leftovers(outbox.folder.parent) == []
    assert outbox.folder.name in caplog.text


def test_a_lost_position_means_everything_is_repeated(outbox: Outbox) -> None:
    outbox.append("start", START)
    outbox.append("finish", {})
    outbox.mark(outbox.pending()[-1], "run")
    outbox.release()
    (outbox.folder / "delivered.json").write_text("")
    (taken,) = leftovers(outbox.folder.parent)
    assert [record.op for record in taken.pending()] == ["start", "finish"]
