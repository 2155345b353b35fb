"""Damaged records: each is set aside and named, and everything else is delivered."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.tracking.deliver import deliver
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.records import DamagedRecordError, parse

DATASET = {"name": "digits", "digest": "abc", "source": "here"}


def line(op: Any = "metrics", time: Any = 5000, **body: Any) -> bytes:
    return json.dumps({"op": op, "time": time, "body": body}).encode()


GOOD = line(metrics={"loss": 1.0}, step=1)
BAD_LINES = {
    "garbage bytes": b"\xff\xfe\x00garbage",
    "zeros of a power cut": b"\0" * 100,
    "a carriage return": b"\r{\r",
    "half a line": GOOD[:30],
    "half a line before a whole one": GOOD[:30] + line(metrics={"loss": 0.5}, step=7),
    "a whole line before half a one": line(metrics={"loss": 0.5}, step=7) + GOOD[:30],
    "a list": b"[1, 2]",
    "a number": b"17",
    "deep brackets": b"[" * 200_000,
    "an endless number": b'{"op": "metrics", "time": ' + b"9" * 5000 + b"}",
    "no body": b'{"op": "metrics", "time": 5}',
    "an unknown operation": line("dance"),
    "an operation that is a list": line(["metrics"]),
    "a time that is a text": line(time="noon", metrics={"loss": 1.0}, step=1),
    "a time that no database holds": line(time=10**30, metrics={"loss": 1.0}, step=1),
    "metrics without a step": line(metrics={"loss": 1.0}),
    "a step that is a text": line(metrics={"loss": 1.0}, step="1"),
    "a value that is a text": line(metrics={"loss": "low"}, step=1),
    "a value that is too large": line(metrics={"loss": 10**400}, step=1),
    "tags that are numbers": line("tags", tags={"a": 1}),
    "a path out of the outbox": line("artifact", path="../../secret.txt", folder=""),
    "an absolute path": line("artifact", path="/etc/hostname", folder=""),
    "a link out of the outbox": line("artifact", path="files/link", folder=""),
    "the outbox's own records": line("artifact", path="records.jsonl", folder=""),
    "a folder": line("artifact", path="files", folder=""),
    "a name that is too long": line("artifact", path="files/" + "x" * 5000, folder=""),
    "a folder out of the artifacts": line("artifact", path="files/0/a.txt", folder="../x"),
    "a second start": line("start", uri="http://127.0.0.1:1", experiment="other"),
    "an unknown status": line("finish", status="DONE", reason=""),
    "a trial without a number": line("reconcile", study="s", trials=[{"status": "FAILED"}]),
}


@pytest.fixture
def record(database: str, tmp_path: Path) -> Callable[..., Outbox]:
    """Return a function that leaves the outbox of a run behind, with `bad` in the middle."""
    (tmp_path / "secret.txt").write_text("secret")

    def record_run(bad: bytes = b"", start: dict[str, Any] | None = None) -> Outbox:
        outbox = Outbox.create(tmp_path / "outbox")
        body = {"uri": database, "experiment": outbox.folder.name, "dataset": DATASET}
        outbox.append("start", body if start is None else start, 1000)
        outbox.append("metrics", {"metrics": {"loss": 3.0}, "step": 0}, 2000)
        if bad:
            with (outbox.folder / "records.jsonl").open("ab") as file:
                file.write(bad + b"\n")
        (tmp_path / "a.txt").write_text("kept")
        outbox.append("artifact", {"path": outbox.keep_file(tmp_path / "a.txt"), "folder": ""})
        (outbox.folder / "files/link").symlink_to(tmp_path / "secret.txt")
        outbox.append("metrics", {"metrics": {"loss": 2.0}, "step": 9}, 8000)
        outbox.append("finish", {"status": "FINISHED", "reason": ""}, 9000)
        outbox.release()
        return outbox

    return record_run


def client(uri: str):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def delivered(uri: str, outbox: Outbox) -> tuple[str, list[int], list[str]]:
    """Return the status, the steps and the artifacts of the run of an outbox."""
    mlflow = client(uri)
    experiment = mlflow.get_experiment_by_name(outbox.folder.name)
    (run,) = mlflow.search_runs([experiment.experiment_id])
    steps = [point.step for point in mlflow.get_metric_history(run.info.run_id, "loss")]
    files = [file.path for file in mlflow.list_artifacts(run.info.run_id)]
    return run.info.status, steps, files


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
def test_one_damaged_record_is_set_aside_and_the_others_are_delivered(
    record, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: bytes
) -> None:
    outboxes = [record(bad), record()]
    assert deliver(tmp_path) == 0
    # One line names what was set aside, and no later delivery stumbles over it.
    (warning,) = caplog.messages
    assert outboxes[0].folder.name in warning
    assert "\n" not in warning
    assert deliver(tmp_path) == 0
    assert len(caplog.messages) == 1
    extra = [7] if b'"step": 7' in bad else []
    assert delivered(database, outboxes[0]) == ("FINISHED", [0, *extra, 9], ["a.txt"])
    assert delivered(database, outboxes[1]) == ("FINISHED", [0, 9], ["a.txt"])
    # Nothing is deleted: neither the damaged bytes nor the files, which may belong to them.
    (kept,) = (tmp_path / "outbox").rglob("records.jsonl")
    damaged = kept.read_bytes().removesuffix(b"\n")
    assert damaged in bad
    assert damaged
    assert (kept.parent / "files/0/a.txt").read_text() == "kept"
    assert kept.parent.parent.name == "damaged"


def test_bad_lines_together_are_one_warning(
    record, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = record(b"\n".join(BAD_LINES.values()))
    assert deliver(tmp_path) == 0
    assert len(caplog.messages) == 1
    assert delivered(database, outbox)[0] == "FINISHED"


BAD_STARTS = {
    "garbage": lambda good: b"\0\xff",
    "half a line": lambda good: good[:40],
    "no experiment": lambda good: line("start", uri=json.loads(good)["body"]["uri"]),
    "no URI": lambda good: line("start", experiment="x"),
    "a list of params": lambda good: line("start", **json.loads(good)["body"], params=[1]),
    "a dataset without a name": lambda good: line(
        "start", **json.loads(good)["body"] | {"dataset": {}}
    ),
    "no start": lambda good: GOOD,
    "an empty line": lambda good: b"",
}


@pytest.mark.parametrize("change", BAD_STARTS.values(), ids=BAD_STARTS)
def test_an_outbox_with_a_damaged_start_is_set_aside_as_a_whole(
    record, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, change
) -> None:
    bad, good = record(), record()
    path = bad.folder / "records.jsonl"
    start, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(content := change(start) + b"\n" + rest)
    assert deliver(tmp_path) == 0
    assert deliver(tmp_path) == 0
    (warning,) = caplog.messages
    assert bad.folder.name in warning
    place = tmp_path / "outbox/damaged" / bad.folder.name
    assert (place / "records.jsonl").read_bytes() == content
    assert (place / "files/0/a.txt").exists()
    assert delivered(database, good)[0] == "FINISHED"
    assert client(database).get_experiment_by_name(bad.folder.name) is None


def test_garbage_before_the_start_is_no_damage_to_it(record, database: str, tmp_path: Path) -> None:
    outbox = record()
    path = outbox.folder / "records.jsonl"
    path.write_bytes(b"\xff garbage\n" + path.read_bytes())
    assert deliver(tmp_path) == 0
    assert delivered(database, outbox) == ("FINISHED", [0, 9], ["a.txt"])


def make_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_link, make_folder, make_pipe])
def test_records_that_are_no_file_are_set_aside(
    record, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, make
) -> None:
    bad, good = record(), record()
    make(bad.folder / "records.jsonl")
    assert deliver(tmp_path) == 0
    assert deliver(tmp_path) == 0
    assert len(caplog.messages) == 1
    assert (tmp_path / "outbox/damaged" / bad.folder.name).exists()
    assert delivered(database, good)[0] == "FINISHED"


@pytest.mark.parametrize(
    "content",
    [
        '{"position": 10000000, "run_id": "abc", "finished": false}',
        '{"position": 12, "run_id": "abc", "finished": true}',
        '{"position": -5, "run_id": "abc", "finished": false}',
        '{"position": "12", "run_id": "abc", "finished": false}',
        '{"position": 1.5, "run_id": "abc", "finished": false}',
        '{"position": true, "run_id": "abc", "finished": false}',
        '{"position": 0, "run_id": 7, "finished": false}',
        '{"position": END, "run_id": null, "finished": false}',
        '{"position": END, "run_id": "", "finished": true}',
        '{"position": 0, "run_id": null, "finished": "no"}',
        '{"position": END, "run_id": "abc", "finished": true, "put_off": [3]}',
        '{"position": END, "run_id": "abc", "finished": true, "put_off": "all"}',
        "[]",
        "null",
        "\x00\x00",
        "{",
    ],
)
def test_with_a_damaged_position_all_records_are_delivered(
    record, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    outbox = record()
    size = (outbox.folder / "records.jsonl").stat().st_size
    (outbox.folder / "delivered.json").write_text(content.replace("END", str(size)))
    assert deliver(tmp_path) == 0
    assert deliver(tmp_path) == 0
    (warning,) = caplog.messages
    assert "delivered.json is damaged" in warning
    assert delivered(database, outbox) == ("FINISHED", [0, 9], ["a.txt"])
    assert (tmp_path / "outbox/damaged" / outbox.folder.name / "delivered.json").exists()


def test_a_last_record_that_only_lacks_its_end_is_delivered(
    record, database: str, tmp_path: Path
) -> None:
    outbox = record()
    path = outbox.folder / "records.jsonl"
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert deliver(tmp_path) == 0
    assert delivered(database, outbox)[0] == "FINISHED"
    assert not (tmp_path / "outbox").exists()


def test_a_live_run_sets_a_damaged_record_aside(database: str, tmp_path: Path) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("start", {"uri": database, "experiment": "live"})
    with (outbox.folder / "records.jsonl").open("ab") as file:
        file.write(b"\xff\n")
    outbox.append("metrics", {"metrics": {"loss": 1.0}, "step": 0})
    for _ in range(2):
        assert [record.op for record in outbox.pending()] == ["start", "metrics"]
    kept = tmp_path / "outbox/damaged" / outbox.folder.name / "records.jsonl"
    assert kept.read_bytes() == b"\xff\n"


def test_characters_that_no_database_holds_are_replaced(tmp_path: Path) -> None:
    assert parse(line("tags", tags={"a": "\ud800b\0"}), tmp_path).body["tags"] == {"a": "?b?"}


def test_the_reason_names_the_key_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match=r"metrics\.a\\nb: .*number"):
        parse(line(metrics={"a\nb": "low"}, step=1), tmp_path)
