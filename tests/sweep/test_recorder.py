"""The process that keeps a study's MLflow run."""

import os
import socket
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import create_trial

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep import recorder
from sweeper.sweep.mlflow_study import MLflowStudy
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.recorder import OBSERVER, Recorder, recorded, recorder_of
from sweeper.sweep.storage import open_storage
from sweeper.tracking import tags
from sweeper.tracking.courier import VARIABLE

LOGS = OmegaConf.create({"version": 1, "root": {"level": "WARNING"}}), False


@pytest.fixture
def info(tmp_path) -> StudyInfo:
    folder = tmp_path / "multirun" / "s"
    folder.mkdir(parents=True)
    storage = open_storage(None, folder)
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    study.add_trial(create_trial(value=0.5))
    return StudyInfo("s", folder, ("maximize",), {}, {"data": "d"}, 1, storage)


@pytest.fixture
def observer(tmp_path) -> MLflowStudy:
    return MLflowStudy("val/accuracy", f"sqlite:///{tmp_path}/mlflow.db", folder=tmp_path)


def parent_runs(tmp_path: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("d").experiment_id])
    return [run for run in runs if tags.is_study(run.data.tags)]


@pytest.fixture
def ending(info, observer, monkeypatch) -> Callable[..., None]:
    """Return a function that opens a study in another process, and ends it.

    `dies` says whether the process dies in between.
    """
    monkeypatch.delenv(VARIABLE, raising=False)

    def end(dies: bool, call: Callable[[Observers, StudyInfo], object]) -> None:
        recorder, spec = Recorder(), SimpleNamespace(storage=None, folder=info.folder)
        recorder.start()
        apart = recorded(Observers((observer,)), recorder, spec, LOGS)
        parent_id = apart.study_opened(info)
        assert os.environ[VARIABLE].startswith("sweeper-")
        if dies:
            with pytest.raises((EOFError, ConnectionError)):
                recorder.call(lambda _: os._exit(1))
        call(apart, replace(info, parent_id=parent_id))
        recorder.close()
        assert VARIABLE not in os.environ

    return end


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dies", [False, True])
def test_a_study_is_recorded_in_another_process_while_that_lives(tmp_path, ending, dies) -> None:
    ending(dies, lambda apart, info: apart.study_finished(replace(info, has_ended=True)))
    [run] = parent_runs(tmp_path)
    assert (run.info.status, run.data.metrics["trials/complete"]) == ("FINISHED", 1.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dies", [False, True])
def test_the_record_of_a_study_ends_with_its_error(tmp_path, ending, dies) -> None:
    def fail(apart: Observers, info: StudyInfo) -> None:
        apart.study_failed(replace(info, storage=None), "the database was away")

    ending(dies, fail)
    [run] = parent_runs(tmp_path)
    reason = run.data.tags[tags.END_REASON]
    assert (run.info.status, reason) == ("FAILED", "the database was away")


def test_the_process_prints_no_lines_of_libraries_below_the_board(monkeypatch) -> None:
    monkeypatch.setattr(recorder, "_Desk", object)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    own, other = socket.socketpair()
    own.close()
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(EOFError):  # as when the command has ended
            recorder.main(other.detach())
        warnings.warn("an argument is experimental", stacklevel=1)
    assert shown == []
    now = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(before)
    assert now == optuna.logging.WARNING


def test_the_process_is_ended_before_it_can_leave_by_itself() -> None:
    # torch would print the statistics of its caches below the results of the study.
    calls = Mock()
    recorder = Recorder()
    recorder._process, recorder._connection = calls.process, calls.connection
    recorder.close()
    names = [name for name, _, _ in calls.mock_calls if name != "process.wait"]
    assert names == ["process.kill", "connection.close"]


def test_a_study_that_mlflow_does_not_record_needs_no_process() -> None:
    assert recorder_of({"observers": [{"_target_": "my.Observer"}, object()]}) is None
    own_storage = {"observers": [{"_target_": OBSERVER}], "storage": object()}
    assert recorder_of(own_storage) is None
    assert recorder_of({"observers": [{"_target_": OBSERVER}], "join": True}) is None


def desk_of(info: StudyInfo, observer: MLflowStudy) -> recorder._Desk:
    desk = recorder._Desk()
    desk.observer, desk.study = observer, replace(info, storage=None)
    desk.place = None, info.folder
    return desk


@pytest.mark.parametrize("error", [(), ("the disk is full",)])
def test_the_records_of_the_trials_are_waited_for_as_long_as_it_was_asked(info, error) -> None:
    observer, courier = Mock(flush_seconds=7.0), Mock()
    desk = SimpleNamespace(observer=observer, courier=courier, with_storage=str, early=None)
    if error:
        recorder._fail(desk, info, *error)
        _, _, wait_for_trials = observer.fail.call_args.args
    else:
        recorder._finish(desk, info)
        _, wait_for_trials, _ = observer.finish.call_args.args
    wait_for_trials()
    courier.wait.assert_called_once_with(7.0)


def test_figures_are_drawn_as_soon_as_the_model_is_written(info, observer) -> None:
    desk = desk_of(info, observer)
    assert desk.early() is None
    desk.courier._on_model()
    assert desk.early().files.keys() == {"history", "timeline"}


def test_figures_that_cannot_be_drawn_early_are_left_to_the_end(info, observer) -> None:
    desk = desk_of(replace(info, name="no such study"), observer)
    desk.courier._on_model()
    assert desk.early() is None


def test_the_parent_run_is_opened_by_one_process_at_a_time(info, monkeypatch) -> None:
    """Until MLflow has it, the recorder of another command would not find it."""
    lock, taken = info.folder / recorder.PARENT_LOCK, list[bool]()
    monkeypatch.setattr(recorder, "configure_log", Mock())
    monkeypatch.setattr(recorder, "_leave_processor_to_trials", Mock())

    def look(*_: object) -> str:
        try:
            with locked(lock, wait=False):
                taken.append(False)
        except BlockingIOError:
            taken.append(True)
        return "key"

    has_ended = threading.Event()
    observer = Mock(open=look, wait_until_open=look, model=False)
    monkeypatch.setattr(recorder, "gc", Mock(freeze=has_ended.set))
    recorder._open(recorder._Desk(), {}, LOGS, observer, (None, info.folder), info)
    with locked(lock):
        assert taken == [True, True]
    assert has_ended.wait(60)


def test_a_parent_run_that_cannot_be_opened_keeps_nobody_out(info, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "configure_log", Mock())
    observer = Mock(open=Mock(side_effect=ConfigError("no such server")))
    with pytest.raises(ConfigError):
        recorder._open(recorder._Desk(), {}, LOGS, observer, (None, info.folder), info)
    with locked(info.folder / recorder.PARENT_LOCK, wait=False):
        pass
