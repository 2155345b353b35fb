"""Fixtures that run the sphere application from the command line, in processes of its own.

`start` takes Python itself, for tests that look at the processes or kill them.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial

from journals import trials_in

APP = Path(__file__).parent / "sphere" / "app.py"


@dataclass(frozen=True)
class App:
    """The application in an empty folder, with a study named `s`."""

    cwd: Path
    python: str
    script: Path = APP

    @property
    def folder(self) -> Path:
        return self.cwd / "multirun" / "s"

    def command(self, *overrides: str, python: str = sys.executable) -> list[str]:
        sweeper = ["hydra/sweeper=sweeper", "hydra/launcher=local", "hydra.sweeper.study_name=s"]
        return [python, str(self.script), "--multirun", *sweeper, *overrides]

    def start(self, *overrides: str, python: str = sys.executable) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        command = self.command(*overrides, python=python)
        return subprocess.Popen(command, cwd=self.cwd, stdout=pipe, stderr=pipe, text=True)

    def run(self, *overrides: str, code: int = 0) -> str:
        process = self.start(*overrides, python=self.python)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        return out + err

    def trials(self) -> list[FrozenTrial]:
        return trials_in(self.folder / "journal.log")

    def states(self) -> list[str]:
        return [t.state.name for t in self.trials()]


@pytest.fixture
def app(tmp_path: Path, python: str) -> App:
    return App(tmp_path, python)
