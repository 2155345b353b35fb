"""The trial of the current run: report a value, and ask whether to stop.

Outside a study these functions do nothing, so a task function can always call them:

    for epoch in range(first_epoch, epochs):
        trial.report(accuracy, step=epoch)
        if trial.should_stop():
            break

A trial may be taken up again after it was paused, or after its process died. The task then finds
the files of its earlier attempt in `trial.info().resume_folder`, and goes on from there. It saves
what it needs for that before it stops. A task that never reads `resume_folder` cannot: its trials
are pruned for good.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrialInfo:
    """The description of a trial.

    study: the name of the study.
    number: the number of the trial in the study.
    attempt: the number of the attempt at this trial, from 0. If it is above 0, an earlier attempt
        was paused or interrupted, and `folder` holds its files.
    folder: the folder of the trial.
    params: the values of the trial's parameters.
    parent_id: the id that the study's observer returned when the study was opened.
    seed: the seed of this run if the trial is run with several seeds, otherwise None.
    values: the values of a trial that has ended, and whose network is scored; otherwise None.
    has_files: whether earlier attempts have left files in `folder` that the task itself wrote.
    """

    study: str
    number: int
    attempt: int
    folder: Path
    params: Mapping[str, Any]
    parent_id: str | None = None
    seed: int | None = None
    has_files: bool = True
    values: tuple[float, ...] | None = None
    _reads: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def label(self) -> str:
        """The trial's number, with the seed if there are several."""
        return str(self.number) if self.seed is None else f"{self.number} seed {self.seed}"

    @property
    def resume_folder(self) -> Path | None:
        """The folder with the files of an earlier attempt, or None if there are none.

        A study pauses the trials of a task that reads it, since these can go on.
        """
        self._reads.append("resume_folder")
        return self.folder if self.attempt and self.has_files else None

    @property
    def asks_where_to_resume(self) -> bool:
        """True if `resume_folder` was read, by a task that can go on with an earlier attempt."""
        return bool(self._reads)


class Reporter(Protocol):
    """The study's side of a running trial. A worker sets it before it calls the task function.

    Each method has the meaning of the function of the same name in this module.
    """

    @property
    def info(self) -> TrialInfo: ...

    def report(self, value: float, step: float, length: float | None = None) -> None: ...

    def next_rung(self, epochs: float, length: float | None = None) -> float | None: ...

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


def report(value: float, step: float, length: float | None = None) -> None:
    """Report the objective value at `step`, by which pruners decide.

    A fractional step lies within an epoch: 2.25 after two epochs and a quarter of the third. Only
    the pruner `promotion` regards such values, see `next_rung`.

    Args:
        value: The value.
        step: Number of the epoch, or of any other step.
        length: Number of reports with whole steps that a whole run makes, if it is known. The study
            then knows earlier where to compare its trials, and what time they need.

    Raises:
        ValueError: the step or the length is infinite or nan, or the length is not positive.
    """
    if _reporter is not None:
        _reporter.report(value, step, length)


def next_rung(epochs: float, length: float | None = None) -> float | None:
    """Return the next position, in epochs, at which the study decides whether a trial is paused.

    It is the first one after `epochs`, the number of epochs done. A task may report a value at a
    position within an epoch. Otherwise its next whole epoch counts. `length` is that of `report`.

    None outside a study, and if the trial cannot be paused.
    """
    return None if _reporter is None else _reporter.next_rung(epochs, length)


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

    The reason is one of `pruned`, `paused` (the trial may be taken up again), `infeasible` (a
    constraint is violated), `interrupted`, `timeout`, `trial_timeout` and `lost` (another worker
    has taken over the trial).
    """
    return _reporter.stop_reason() if _reporter is not None else None


def note(key: str, value: Any) -> None:
    """Store a JSON value under `key` in the trial's user attributes.

    The study itself uses `repeats`, `deviation`, `failure`, `duplicate_of` and all keys that begin
    with `sweeper:`.

    If `hydra.sweeper.constraints` has a bound for the key, a value above it makes `should_stop`
    return True. Note values that are known before training, such as the number of parameters,
    before training starts.

    Raises:
        ValueError: `key` is one that the study itself uses. The study then ends.
    """
    if _reporter is not None:
        _reporter.note(key, value)


def info() -> TrialInfo | None:
    """Return the current trial, or None outside a study."""
    return _reporter.info if _reporter is not None else None
