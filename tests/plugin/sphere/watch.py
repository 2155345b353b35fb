"""An observer that writes its calls to a file."""

from dataclasses import dataclass
from pathlib import Path

from sweeper.sweep.observer import Outcome, StudyInfo
from sweeper.trial import TrialInfo


@dataclass
class Diary:
    """Observer that appends a line to the file `path` at each call.

    interrupted: whether it is interrupted while it follows the end of the study.
    """

    path: str
    interrupted: bool = False

    def study_opened(self, study: StudyInfo) -> str | None:
        self._write(f"opened {study.name} {study.parent_id}")
        return study.parent_id or "parent-1"

    def trial_started(self, trial: TrialInfo) -> None:
        self._write(f"started {trial.number} under {trial.parent_id}")

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        self._write(f"finished {trial.number} {outcome.state} {list(outcome.values)}")

    def study_finished(self, study: StudyInfo) -> None:
        self._write(f"closed under {study.parent_id}")
        if self.interrupted:
            raise KeyboardInterrupt

    def _write(self, line: str) -> None:
        with Path(self.path).open("a") as file:
            file.write(line + "\n")
