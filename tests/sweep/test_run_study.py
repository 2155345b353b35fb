"""What the command of a study prints when it ends."""

import errno
import threading
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from sweeper.cli import next_steps
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
