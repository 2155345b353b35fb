"""The courier, to which the trials of a study leave the delivery of their records."""

import os
import signal
import socket
import sys

import pytest

from sweeper.tracking.courier import VARIABLE, Courier
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.tracker import RunInfo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # a fork of a process with threads
    pytest.mark.skipif(sys.platform != "linux", reason="its sockets are those of Linux"),
]


@pytest.fixture
def courier(monkeypatch) -> Courier:
    courier = Courier()
    monkeypatch.setenv(VARIABLE, courier.name)
    return courier


def started(database: str, folder, name: str) -> MLflowTracker:
    tracker = MLflowTracker(database, folder=folder)
    tracker.start(RunInfo(experiment=name))
    tracker.log_metrics({"val/loss": 0.5}, step=1)
    return tracker


def run_of(database: str, experiment: str):
    from mlflow import MlflowClient

    client = MlflowClient(database)
    [run] = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def test_a_run_leaves_its_records_to_the_courier(database, tmp_path, courier) -> None:
    tracker = started(database, tmp_path, "left")
    assert tracker._threads == []
    tracker.finish("FINISHED")
    courier.wait(60)
    run = run_of(database, "left")
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val/loss": 0.5})
    assert not (tmp_path / "outbox").exists()


@pytest.mark.parametrize("message", [b"no JSON", b"[]", b"{}", b'{"folder": 1, "uri": 2}'])
def test_a_message_of_another_form_is_left(database, tmp_path, courier, message) -> None:
    with (
        (tmp_path / "file").open("a") as file,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
    ):
        connection.connect(f"\0{courier.name}")
        socket.send_fds(connection, [message], [file.fileno()])
        assert connection.recv(16) == b""
    tracker = started(database, tmp_path, "next")
    assert tracker._threads == []
    tracker.finish("FINISHED")
    courier.wait(60)
    assert run_of(database, "next").info.status == "FINISHED"


def test_the_run_of_a_killed_process_is_ended_by_the_courier(database, tmp_path, courier) -> None:
    pid = os.fork()
    if pid == 0:
        started(database, tmp_path, "killed")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    courier.wait(60)
    run = run_of(database, "killed")
    assert (run.info.status, run.data.metrics) == ("KILLED", {"val/loss": 0.5})


def test_a_run_whose_courier_died_delivers_its_records_itself(
    database, tmp_path, monkeypatch
) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, Courier().name.encode())
        signal.pause()
    monkeypatch.setenv(VARIABLE, os.read(reader, 100).decode())
    tracker = started(database, tmp_path, "orphaned")
    assert tracker._handover is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    tracker.finish("FINISHED")
    run = run_of(database, "orphaned")
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val/loss": 0.5})


def test_a_run_without_a_courier_delivers_its_records_itself(
    database, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv(VARIABLE, "sweeper-none")
    tracker = started(database, tmp_path, "alone")
    tracker.finish("FINISHED")
    assert run_of(database, "alone").info.status == "FINISHED"
