import logging
from pathlib import Path

from sweeper.sweep.observer import Observers, StudyInfo

INFO = StudyInfo("s", Path(), ("minimize",), {}, {}, 3, None, parent_id="before")


class Names:
    def __init__(self, answer):
        self.answer = answer

    def study_opened(self, study):
        return self.answer


class Breaks:
    def study_opened(self, study):
        raise RuntimeError("server away")


def test_the_first_id_that_an_observer_gives_is_the_parents() -> None:
    assert Observers((Names(None), Names("a"), Names("b"))).study_opened(INFO) == "a"
    assert Observers(()).study_opened(INFO) == "before"


def test_a_broken_observer_stops_nobody(caplog) -> None:
    with caplog.at_level(logging.ERROR):
        assert Observers((Breaks(), Names("a"))).study_opened(INFO) == "a"
    assert "Observer Breaks failed" in caplog.text
