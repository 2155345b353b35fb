"""The study's side of a trial, for tests of a trial without a study."""

from collections.abc import Sequence
from pathlib import Path

from sweeper.trial import TrialInfo


class StudySide:
    """Keeps what a trial reports and notes, and stops it after some reports.

    Args:
        folder: The folder of the trial.
        attempt: The number of the attempt at the trial, from 0.
        stop_after: The number of reports after which the trial is to stop; None for never.
        reason: The reason for which it stops.
        rungs: The positions, in epochs, at which trials are compared.
        stops_now: Whether the worker is to leave.
    """

    def __init__(
        self,
        folder: Path = Path(),
        attempt: int = 0,
        stop_after: int | None = None,
        reason: str = "pruned",
        rungs: Sequence[float] = (),
        stops_now: bool = False,
    ) -> None:
        self.info = TrialInfo("study", 7, attempt, folder, {}, parent_id="parent")
        self.steps: list[float] = []
        self.lengths: set[float | None] = set()
        self.notes: dict[str, object] = {}
        self._stop_after, self._reason = stop_after, reason
        self._rungs, self._stops_now = rungs, stops_now

    def next_rung(self, epochs: float, length: float | None = None) -> float | None:
        return next((rung for rung in self._rungs if rung > epochs), None)

    def report(self, value: float, step: float, length: float | None = None) -> None:
        self.steps.append(step)
        self.lengths.add(length)

    def should_stop(self) -> bool:
        return self.stop_reason() is not None

    def must_stop_now(self) -> bool:
        return self._stops_now

    def stop_reason(self) -> str | None:
        stops = self._stop_after is not None and len(self.steps) >= self._stop_after
        return self._reason if stops else None

    def note(self, key: str, value: object) -> None:
        self.notes[key] = value
