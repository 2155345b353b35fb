"""What a run knows of its trial: report a value, ask whether to stop.

Outside a study everything here is a no-op, so a task function need not care where it runs:

    for epoch in range(epochs):
        trial.report(accuracy, step=epoch)
        if trial.should_stop():
            break
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrialInfo:
    """Which trial of which study this run is.

    `attempt` counts from 0; above 0 an earlier attempt was cut short and `folder` holds what it
    left. `parent_id` is whatever the study's observer returned when the study was opened.
    """

    study: str
    number: int
    attempt: int
    folder: Path
    params: Mapping[str, Any]
    parent_id: str | None = None

    @property
    def resume_folder(self) -> Path | None:
        """Folder with an earlier attempt's checkpoints, or None for a first attempt."""
        return self.folder if self.attempt else None


class Reporter(Protocol):
    """The study's side of a running trial; a worker sets it before it calls the task."""

    @property
    def info(self) -> TrialInfo: ...

    def report(self, value: float, step: int) -> None: ...

    def should_stop(self) -> bool: ...

    def stop_reason(self) -> str | None: ...

    def note(self, key: str, value: Any) -> None: ...


_reporter: Reporter | None = None


@contextmanager
def reported_by(reporter: Reporter) -> Iterator[None]:
    """Make `reporter` the current trial's for a while; for workers only."""
    global _reporter
    before, _reporter = _reporter, reporter
    try:
        yield
    finally:
        _reporter = before


def report(value: float, step: int) -> None:
    """Report the objective's value at `step`; what pruners judge by."""
    if _reporter is not None:
        _reporter.report(value, step)


def should_stop() -> bool:
    """Tell whether the run should end now: pruned, interrupted, out of time or taken over."""
    return _reporter is not None and _reporter.should_stop()


def stop_reason() -> str | None:
    """Return why `should_stop` was true, or None if it was not.

    One of `pruned`, `infeasible` (a constraint is violated), `interrupted`, `timeout` and `lost`
    (another worker has taken the trial over).
    """
    return _reporter.stop_reason() if _reporter is not None else None


def note(key: str, value: Any) -> None:
    """Keep a JSON value on the trial's record.

    Where `hydra.sweeper.constraints` bounds it, a value above the bound makes `should_stop` true,
    so what is known before training, such as a number of parameters, is best noted before it.
    """
    if _reporter is not None:
        _reporter.note(key, value)


def info() -> TrialInfo | None:
    """Return the current trial, or None outside a study."""
    return _reporter.info if _reporter is not None else None
