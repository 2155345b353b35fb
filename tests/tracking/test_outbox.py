import shutil
from pathlib import Path

import pytest

from sweeper.tracking.outbox import Outbox, abandoned_outboxes

START = {"uri": "http://127.0.0.1:1", "experiment": "digits"}


def metrics(step: int) -> dict[str, object]:
    return {"metrics": {"loss": 1.0}, "step": step}


def steps(outbox: Outbox) -> list[int]:
    return [record.body["step"] for record in outbox.pending()]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.create(tmp_path / "outbox")


def test_records_are_read_back_in_order(outbox: Outbox) -> None:
    for step in range(3):
        outbox.append("metrics", metrics(step))
    assert steps(outbox) == [0, 1, 2]


def test_values_that_are_not_finite_are_read_back(outbox: Outbox) -> None:
    outbox.append("metrics", {"metrics": {"loss": float("nan"), "lr": float("inf")}, "step": 0})
    values = outbox.pending()[0].body["metrics"]
    assert str(values) == "{'loss': nan, 'lr': inf}"


def test_a_delivered_record_is_not_pending_for_the_next_owner(outbox: Outbox) -> None:
    outbox.append("start", START)
    outbox.append("metrics", metrics(0))
    outbox.append("metrics", metrics(1))
    outbox.mark_delivered(outbox.pending()[1], "run")
    outbox.release()
    reopened = Outbox.take_over(outbox.folder)
    assert reopened is not None
    assert reopened.progress.run_id == "run"
    assert [record.op for record in reopened.pending()] == ["metrics", "finish"]


def test_the_names_of_outboxes_tell_their_order(tmp_path: Path) -> None:
    outboxes = [Outbox.create(tmp_path / "many") for _ in range(20)]
    assert sorted(outboxes, key=lambda outbox: outbox.folder.name) == outboxes
    assert [outbox.is_oldest() for outbox in outboxes] == [True, *[False] * 19]


def test_an_incomplete_last_line_is_dropped_and_the_lines_before_it_are_read(
    outbox: Outbox,
) -> None:
    outbox.append("start", START)
    outbox.append("metrics", metrics(7))
    outbox.release()
    with (outbox.folder / "records.jsonl").open("a") as file:
        file.write('{"op": "metrics", "time": 5, "bo')
    reopened = Outbox.take_over(outbox.folder)
    assert reopened is not None
    assert [record.op for record in reopened.pending()] == ["start", "metrics", "finish"]


@pytest.mark.parametrize(
    ("last", "status"), [("metrics", "KILLED"), ("finish", "FINISHED")], ids=["dead", "ended"]
)
def test_only_a_run_without_a_finish_record_is_ended_as_killed(
    outbox: Outbox, last: str, status: str
) -> None:
    outbox.append("start", START)
    body = {"status": "FINISHED"} if last == "finish" else metrics(0)
    outbox.append(last, body, 1234)  # type: ignore[arg-type]
    outbox.release()
    reopened = Outbox.take_over(outbox.folder)
    assert reopened is not None
    finish = reopened.pending()[-1]
    assert (finish.op, finish.time, finish.body["status"]) == ("finish", 1234, status)


def test_an_outbox_with_a_live_owner_is_not_taken_over(outbox: Outbox) -> None:
    assert abandoned_outboxes(outbox.folder.parent) == []
    outbox.append("start", START)
    outbox.release()
    for _ in range(2):  # each is free again for the one that delivers it
        (abandoned,) = abandoned_outboxes(outbox.folder.parent)
        assert abandoned.folder == outbox.folder
        assert abandoned.start_record() is not None


def test_a_stored_file_keeps_its_content_when_the_original_is_replaced(
    outbox: Outbox, tmp_path: Path
) -> None:
    path, newer = tmp_path / "best.pt", tmp_path / "newer"
    path.write_text("first")
    newer.write_text("second")
    stored = outbox.keep_file(path)
    newer.replace(path)
    assert (outbox.folder / stored).read_text() == "first"


def test_the_parent_folder_is_removed_with_the_last_outbox(outbox: Outbox) -> None:
    other = Outbox.create(outbox.folder.parent)
    outbox.remove()
    assert list(other.folder.parent.iterdir()) == [other.folder]
    other.remove()
    assert not other.folder.parent.exists()


def test_the_records_are_closed_before_they_are_deleted(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS a file that is open leaves another one in its folder."""

    def delete(folder: Path, ignore_errors: bool = False) -> None:
        with pytest.raises(ValueError, match="closed file"):
            outbox.fileno()
        (folder / "records.jsonl").unlink()
        folder.rmdir()

    monkeypatch.setattr(shutil, "rmtree", delete)
    outbox.remove()
    assert not outbox.folder.parent.exists()


def test_what_a_kill_leaves_of_a_removed_outbox_is_removed_by_the_next_delivery(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = outbox.folder.parent
    (parent / "20000101-older").mkdir()  # an older version left it
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        outbox.remove()
    younger = Outbox.create(parent)
    assert younger.is_oldest()
    assert abandoned_outboxes(parent) == []
    assert list(parent.iterdir()) == [younger.folder]


def test_without_a_saved_position_all_records_are_pending(outbox: Outbox) -> None:
    outbox.append("start", START)
    outbox.append("finish", {"status": "FINISHED"})
    outbox.mark_delivered(outbox.pending()[-1], "run")
    outbox.release()
    (outbox.folder / "delivered.json").write_text("")
    reopened = Outbox.take_over(outbox.folder)
    assert reopened is not None
    assert [record.op for record in reopened.pending()] == ["start", "finish"]


def test_a_folder_without_room_is_refused_in_one_line_and_leaves_nothing(
    outbox, tmp_path, monkeypatch
) -> None:
    def write_some(source, target) -> None:
        if str(source).endswith("b"):
            raise OSError(28, "No space left on device")
        Path(target).write_text("a", encoding="utf-8")

    monkeypatch.setattr("sweeper.tracking.outbox.link_or_copy", write_some)
    folder = tmp_path / "model"
    folder.mkdir()
    for name in "ab":
        (folder / name).touch()
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
        outbox.keep_folder(folder)
    assert not list(outbox.folder.rglob("a"))
