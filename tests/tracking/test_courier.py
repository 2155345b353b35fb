"""The courier, to which the trials of a study leave the delivery of their records."""

import errno
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from unittest.mock import Mock

import pytest

from sweeper.tracking.courier import VARIABLE, Courier, Handover
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.model_files import ModelError, _small_model
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.tracker import RunInfo

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # a fork of a process with threads
    pytest.mark.skipif(sys.platform != "linux", reason="its sockets are those of Linux"),
]


@pytest.fixture
def models() -> list[None]:
    """An entry for each model that the courier has written."""
    return []


@pytest.fixture
def courier(monkeypatch, models) -> Courier:
    courier = Courier(lambda: models.append(None))
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
    assert tracker._background.handover is not None
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
    assert tracker._background.handover is not None
    tracker.finish("FINISHED")
    courier.wait(60)
    assert run_of(database, "next").info.status == "FINISHED"


def test_the_run_of_a_killed_process_is_ended_by_the_courier(database, tmp_path, courier) -> None:
    pid = os.fork()
    if pid == 0:
        started(database, tmp_path, "killed")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 60
    while not courier._deliveries:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    courier.wait(60)
    run = run_of(database, "killed")
    assert (run.info.status, run.data.metrics) == ("KILLED", {"val/loss": 0.5})


def test_an_owner_that_dies_before_its_outbox_is_taken_ends_no_courier(
    database, tmp_path, courier, monkeypatch
) -> None:
    died, shared = threading.Event(), Outbox.shared

    def shared_later(*arguments) -> Outbox:
        died.wait(60)
        return shared(*arguments)

    monkeypatch.setattr("sweeper.tracking.courier.Outbox.shared", shared_later)
    pid = os.fork()
    if pid == 0:
        started(database, tmp_path, "first")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    died.set()
    started(database, tmp_path, "second").finish("FINISHED")
    courier.wait(60)
    assert run_of(database, "first").info.status == "KILLED"
    assert run_of(database, "second").info.status == "FINISHED"


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
    assert tracker._background.handover is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    tracker.finish("FINISHED")
    run = run_of(database, "orphaned")
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val/loss": 0.5})


def test_a_run_that_the_courier_does_not_take_delivers_its_records_itself(
    database, tmp_path, courier, monkeypatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("sweeper.tracking.courier.Outbox.shared", refuse)
    tracker = started(database, tmp_path, "refused")
    tracker.finish("FINISHED")
    assert run_of(database, "refused").info.status == "FINISHED"


def test_a_run_without_a_courier_delivers_its_records_itself(
    database, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv(VARIABLE, "sweeper-none")
    tracker = started(database, tmp_path, "alone")
    tracker.finish("FINISHED")
    assert run_of(database, "alone").info.status == "FINISHED"


def handed_over(database, folder, name: str) -> Handover:
    handover = started(database, folder, name)._background.handover
    assert handover is not None
    return handover


@pytest.mark.filterwarnings("ignore")
def test_the_courier_writes_a_model_once_it_is_ready_for_that(
    database, tmp_path, courier, models
) -> None:
    import mlflow.pytorch
    import torch

    courier.write_models()
    handover = handed_over(database, tmp_path, "written")
    handover.ask_for_model(_small_model, tmp_path / "model")
    assert handover.has_written_model()
    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    outputs = mlflow.pytorch.load_model(str(tmp_path / "model"))(images)
    assert outputs.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    handover.ask_for_model(partial(int, "1", 2, 3), tmp_path / "wrong")
    with pytest.raises(ModelError, match="^TypeError: int"):
        handover.has_written_model()
    handover.ask_for_model(lambda: None, tmp_path / "not pickled")
    assert not handover.has_written_model()
    handover.finish()
    courier.wait(60)
    assert len(models) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_the_courier_has_half_written_is_written_by_the_run(
    database, tmp_path, courier, monkeypatch
) -> None:
    def write_half(_, folder) -> None:
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_text("half", encoding="utf-8")
        raise RuntimeError

    monkeypatch.setattr("sweeper.tracking.courier.write_model", write_half)
    monkeypatch.setattr("sweeper.tracking.courier.rehearse", lambda: None)
    courier.write_models()
    tracker = MLflowTracker(database, folder=tmp_path, model=True)
    tracker.start(RunInfo(experiment="half"))
    tracker.log_model(_small_model, {}, step=1)
    tracker.finish("FINISHED")
    courier.wait(60)
    assert len(run_of(database, "half").outputs.model_outputs) == 1


def test_a_rehearsal_that_fails_is_left_to_the_model_itself(courier, monkeypatch) -> None:
    def fail() -> None:
        raise ModelError("there is no compiler")

    monkeypatch.setattr("sweeper.tracking.courier.rehearse", fail)
    courier.write_models()
    assert courier._writes_models


def test_a_courier_that_was_asked_too_early_leaves_models_to_the_others(
    database, tmp_path, courier, monkeypatch
) -> None:
    handover = handed_over(database, tmp_path, "early")
    monkeypatch.setattr("sweeper.tracking.courier.rehearse", lambda: pytest.fail("rehearsed"))
    for _ in range(2):
        handover.ask_for_model(_small_model, tmp_path / "model")
        assert not handover.has_written_model()
        courier.write_models()
    assert not (tmp_path / "model").exists()
    handover.finish()
    courier.wait(60)


def test_a_delivery_that_failed_is_waited_for_no_longer_than_any_other(courier) -> None:
    thread, failed = Mock(), Mock(failure="the server is away")
    courier._deliveries = [(thread, failed)]
    assert courier.wait(0) == [failed]
    thread.join.assert_called_once_with(0.0)


def test_a_courier_that_can_accept_nothing_makes_nobody_wait(tmp_path, monkeypatch, caplog) -> None:
    def fails(self):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", fails)
    others = set(threading.enumerate())
    courier = Courier()
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    monkeypatch.setenv(VARIABLE, courier.name)
    outbox = Outbox.create(tmp_path)
    assert Handover.of(outbox, "sqlite:///x.db") is None
    assert "deliver their records themselves from now on: [Errno 24]" in caplog.text
    outbox.release()
