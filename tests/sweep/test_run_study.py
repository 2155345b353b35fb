"""What the command of a study prints when it ends."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeper.cli import next_steps
from sweeper.errors import TrainingError
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
    ("number", "raised"), [(errno.ENOSPC, TrainingError), (errno.EIO, OSError)]
)
def test_a_full_disk_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, number: int, raised: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(run_study, "_run_study", fails)
    monkeypatch.setattr(run_study, "can_call_apart", lambda: False)
    with pytest.raises(raised, match="No space left on device"):
        run_study.run_study({}, *[None] * 4)
