"""The trial of the current run: report a value, and ask whether to stop.

Outside a study these functions do nothing, so a task function can always call them:

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
    """The description of a trial.

    study: the name of the study.
    number: the number of the trial in the study.
    attempt: the number of the attempt at this trial, from 0. If it is above 0, an earlier attempt
        was interrupted, and `folder` holds its files.
    folder: the folder of the trial.
    params: the values of the trial's parameters.
    parent_id: the id that the study's observer returned when the study was opened.
    seed: the seed of this run if the study runs each trial with several seeds, otherwise None.
    """

    study: str
    number: int
    attempt: int
    folder: Path
    params: Mapping[str, Any]
    parent_id: str | None = None
    seed: int | None = None

    @property
    def label(self) -> str:
        """The trial's number, with the seed if there are several."""
        return str(self.number) if self.seed is None else f"{self.number} seed {self.seed}"

    @property
    def resume_folder(self) -> Path | None:
        """The folder with the checkpoints of an earlier attempt, or None for the first attempt."""
        return self.folder if self.attempt else None


class Reporter(Protocol):
    """The study's side of a running trial. A worker sets it before it calls the task function.

    Each method has the meaning of the function of the same name in this module.
    """

    @property
    def info(self) -> TrialInfo: ...

    def report(self, value: float, step: int) -> None: ...

    def should_stop(self) -> bool: ...

    def must_stop_now(self) -> bool: ...

    def stop_reason(self) -> str | None: ...

    def note(self, key: str, value: Any) -> None: ...


_reporter: Reporter | None = None


@contextmanager
def reported_by(reporter: Reporter) -> Iterator[None]:
    """Pass the functions of this module on to `reporter` within the context. For workers only."""
    global _reporter
    previous, _reporter = _reporter, reporter
    try:
        yield
    finally:
        _reporter = previous


def report(value: float, step: int) -> None:
    """Report the objective value at `step`, by which pruners decide."""
    if _reporter is not None:
        _reporter.report(value, step)


def should_stop() -> bool:
    """Return whether the run should end now; `stop_reason` returns the reason."""
    return _reporter is not None and _reporter.should_stop()


def must_stop_now() -> bool:
    """Return whether the run should save its state and end now, in the middle of an epoch too.

    This is so once a time limit has passed or the study was interrupted. The call is cheap enough
    for every batch.
    """
    return _reporter is not None and _reporter.must_stop_now()


def stop_reason() -> str | None:
    """Return the reason why `should_stop` or `must_stop_now` returned True, or None.

    The reason is one of `pruned`, `infeasible` (a constraint is violated), `interrupted`,
    `timeout`, `trial_timeout` and `lost` (another worker has taken over the trial).
    """
    return _reporter.stop_reason() if _reporter is not None else None


def note(key: str, value: Any) -> None:
    """Store a JSON value under `key` in the trial's user attributes.

    If `hydra.sweeper.constraints` has a bound for the key, a value above it makes `should_stop`
    return True. Note values that are known before training, such as the number of parameters,
    before training starts.
    """
    if _reporter is not None:
        _reporter.note(key, value)


def info() -> TrialInfo | None:
    """Return the current trial, or None outside a study."""
    return _reporter.info if _reporter is not None else None
