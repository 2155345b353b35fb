import logging
from pathlib import Path

from sweeper.sweep.observer import Observers, StudyInfo

INFO = StudyInfo("s", Path(), ("minimize",), {}, {}, 3, None, parent_id="before")


class Returns:
    def __init__(self, parent_id):
        self.parent_id = parent_id

    def study_opened(self, study):
        return self.parent_id


class Raises:
    def study_opened(self, study):
        raise RuntimeError("server away")


def test_the_first_id_that_an_observer_returns_is_the_parent_id() -> None:
    assert Observers((Returns(None), Returns("a"), Returns("b"))).study_opened(INFO) == "a"
    assert Observers(()).study_opened(INFO) == "before"


def test_an_exception_in_an_observer_is_logged(caplog) -> None:
    with caplog.at_level(logging.ERROR):
        assert Observers((Raises(), Returns("a"))).study_opened(INFO) == "a"
    assert "Observer Raises failed" in caplog.text


def test_a_failure_is_one_line_with_its_reason_and_no_password(caplog) -> None:
    class Fails:
        def study_opened(self, study):
            raise RuntimeError("cannot reach\nhttp://me:secret@host")

    Observers((Fails(),)).study_opened(INFO)
    (record,) = caplog.records
    assert record.getMessage() == "Observer Fails failed: cannot reach http://me:***@host"
    assert not record.exc_info


def test_the_traceback_is_shown_if_asked_for(caplog, monkeypatch) -> None:
    monkeypatch.setattr("sweeper.sweep.observer.WANTS_TRACEBACK", True)
    Observers((Raises(),)).study_opened(INFO)
    assert "Traceback" in caplog.text


def test_an_observer_need_not_care_for_workers() -> None:
    told: list[str] = []

    class Cares:
        def worker_finished(self):
            told.append("finished")

    Observers((Returns(None), Cares())).worker_finished()
    assert told == ["finished"]


def test_an_observer_need_not_care_for_errors_of_the_study(caplog) -> None:
    told: list[str] = []

    class Cares:
        def study_failed(self, study, reason):
            told.append(f"{study.name}: {reason}")
            raise RuntimeError("server away")

    Observers((Cares(), Returns(None), Cares())).study_failed(INFO, "the disk is full")
    assert told == ["s: the disk is full"] * 2
    assert "Observer Cares failed: server away" in caplog.text
