"""What the command of a study prints when it ends."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeper.cli import next_steps
from sweeper.errors import OutageError, TrainingError
from sweeper.sweep import run_study
from sweeper.sweep.finals.final_records import Scores
from sweeper.sweep.run_study import _next_steps


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
