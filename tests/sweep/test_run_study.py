"""What the command of a study prints when it ends."""

import errno
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from sweeper.cli import next_steps
from sweeper.cli.interrupts import Interrupted
from sweeper.errors import OutageError, TrainingError
from sweeper.locks import locked
from sweeper.sweep import run_study
from sweeper.sweep.finals.final_records import Scores
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.run_study import OPENING_LOCK, _next_steps, _opened
from sweeper.sweep.study import PARENT_KEY


@pytest.mark.parametrize(
    ("scores", "is_named"),
    [
        (None, True),
        (Scores(0, {"test/accuracy": 1.0}), True),
        (Scores(0, failure="last.pt is of an earlier epoch"), False),
    ],
)
def test_the_best_network_is_named_unless_it_could_not_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: Scores | None, is_named: bool
) -> None:
    monkeypatch.setattr(next_steps, "program", lambda: next_steps.PROGRAM)
    (tmp_path / "best/checkpoints").mkdir(parents=True)
    (tmp_path / "best/checkpoints/best.pt").touch()
    spec = SimpleNamespace(folder=tmp_path, observers=SimpleNamespace(members=()))
    text = _next_steps(SimpleNamespace(spec=spec), SimpleNamespace(scores=scores), None)
    assert (f"checkpoint={tmp_path}/best" in text) == is_named


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), TrainingError, "No space left on dev"),
        (OSError(errno.EIO, "Input/output error"), OSError, "Input/output error"),
        (OutageError("it is away"), OutageError, "^it is away; the same command resumes the stu"),
    ],
)
def test_a_full_disk_or_an_outage_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception], message: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_study, "_run_study", fails)
    monkeypatch.setattr(run_study, "can_call_apart", lambda: False)
    with pytest.raises(raised, match=message):
        run_study.run_study({}, *[None] * 4)


def test_two_commands_that_start_at_once_have_one_parent_run(tmp_path: Path) -> None:
    study = optuna.create_study()
    info = StudyInfo("s", tmp_path, ("minimize",), {}, {}, 1, None)
    given: list[str | None] = []
    second = threading.Thread(target=lambda: _opened(Observers((Second(),)), study, info))

    class First:
        def study_opened(self, study: StudyInfo) -> str:
            second.start()
            with pytest.raises(BlockingIOError), locked(tmp_path / OPENING_LOCK, wait=False):
                pass
            assert given == []
            return "run of the first"

    class Second:
        def study_opened(self, study: StudyInfo) -> str | None:
            given.append(study.parent_id)
            return study.parent_id

    assert _opened(Observers((First(),)), study, info).parent_id == "run of the first"
    second.join()
    assert given == ["run of the first"]
    assert study.user_attrs[PARENT_KEY] == "run of the first"


class Follows:
    """An observer that keeps what it was told, and raises `error` at the end of a study."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.told: list[str] = []
        self.error = error

    def study_finished(self, study: StudyInfo) -> str:
        return self._tell("finished", "#/the-page")

    def study_failed(self, study: StudyInfo, reason: str) -> str:
        return self._tell(f"failed: {reason}")

    def _tell(self, what: str, page: str = "") -> str:
        self.told.append(what)
        if self.error is not None:
            raise self.error
        return page


@pytest.fixture
def run_opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs an open study; it returns the interrupt and the page shown."""
    monkeypatch.setattr(run_study, "Board", lambda *_, **__: nullcontext())
    monkeypatch.setattr(run_study, "_conclude", lambda _, __, interrupt, page: (interrupt, page))

    def run(
        observer: Follows,
        run_workers: Callable[[], object] = lambda: None,
        write_results: Callable[[], object] = lambda: None,
        join: bool = False,
    ) -> Any:
        results = SimpleNamespace(trials=[], chosen=None, write=write_results)
        monkeypatch.setattr(run_study, "Results", SimpleNamespace(of=lambda *_: results))
        budget = SimpleNamespace(has_ended=lambda _: True)
        spec = SimpleNamespace(own_process=False, budget=budget)
        settings = SimpleNamespace(join=join, best=None)
        plan = SimpleNamespace(spec=spec, live=None, settings=settings)
        workers = SimpleNamespace(worker=SimpleNamespace(spec=spec), run=run_workers)
        info = StudyInfo("s", Path(), ("minimize",), {}, {}, 3, None)
        return run_study._run_opened(plan, None, workers, Observers((observer,)), info)

    return run


@pytest.mark.parametrize("in_record", [None, RuntimeError("no server"), KeyboardInterrupt()])
def test_an_error_ends_the_record_of_the_study_and_is_the_one_that_is_raised(
    run_opened: Callable[..., Any], in_record: BaseException | None
) -> None:
    def fails() -> None:
        raise OutageError("postgresql://me:secret@host\nis away")

    observer = Follows(in_record)
    with pytest.raises(OutageError, match="is away"):
        run_opened(observer, fails)
    assert observer.told == ["failed: postgresql://me:***@host is away"]


def test_an_error_of_a_command_that_joins_leaves_the_record_to_another_one(
    run_opened: Callable[..., Any],
) -> None:
    def fails() -> None:
        raise TrainingError("the workers ended")

    observer = Follows()
    with pytest.raises(TrainingError):
        run_opened(observer, fails, join=True)
    assert observer.told == []


@pytest.mark.parametrize("earlier", [None, Interrupted(15)])
def test_the_results_are_shown_if_the_record_of_the_study_is_interrupted(
    run_opened: Callable[..., Any], caplog: pytest.LogCaptureFixture, earlier: Interrupted | None
) -> None:
    later = KeyboardInterrupt()
    observer = Follows(later)
    assert run_opened(observer, lambda: earlier) == (earlier or later, None)
    assert "its record is not complete" in caplog.text
    assert observer.told == ["finished"]


def test_the_results_are_shown_if_writing_them_is_interrupted(
    run_opened: Callable[..., Any],
) -> None:
    interrupt = KeyboardInterrupt()

    def write_results() -> None:
        raise interrupt

    observer = Follows()
    assert run_opened(observer, write_results=write_results) == (interrupt, None)
    assert observer.told == []


def test_a_study_that_is_recorded_shows_its_page(run_opened: Callable[..., Any]) -> None:
    assert run_opened(Follows()) == (None, "#/the-page")
