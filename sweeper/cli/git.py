"""The state of the code in a git repository: its commit, and the changes that are not in it."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sweeper.text import printable


@dataclass(frozen=True)
class CodeState:
    """State of the code in a repository.

    Args:
        commit: Hash of the commit.
        changes: Hash of the changes to tracked files since then; empty if there are none.
    """

    commit: str
    changes: str = ""

    @staticmethod
    def of(*folders: Path) -> "CodeState | None":
        """Return the state of the first folder that lies in a repository, or None."""
        for folder in folders:
            commit = _output(folder, "rev-parse", "HEAD")
            if commit:
                changes = _output(folder, "diff", "--no-ext-diff", "--no-textconv", "HEAD")
                digest = hashlib.sha256(changes.encode()).hexdigest()[:8] if changes else ""
                return CodeState(commit, digest)
        return None

    def __str__(self) -> str:
        return f"commit {printable(self.commit[:7])}{' with changes' if self.changes else ''}"


def commit_of(*folders: Path) -> str | None:
    """Return the hash of the commit of the first folder that lies in a repository, or None."""
    return next(filter(None, (_output(each, "rev-parse", "HEAD") for each in folders)), None)


def _output(folder: Path, *arguments: str) -> str:
    """Return what git prints, or an empty text if it fails, hangs or is not installed."""
    # The settings of a repository may name programs, which must not run.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    # Otherwise `git diff` may take the lock of the index, for which others then wait.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            errors="replace",
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
