"""What to type after a run or a study, as commands with their paths."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from sweeper.cli.program import program
from sweeper.secrets import masked_uri

SQLITE = "sqlite:///"
BEST = "checkpoints/best.pt"
PROGRAM = ["-m", "sweeper"]


def next_steps(best: Path, uri: str | None, tensorboard: Path | None = None) -> str:
    """Return the commands in lines, or an empty text if there are none.

    best: folder of the best network; `evaluate` and `predict` take it if it has a checkpoint.
    uri: where MLflow has the run; None if nowhere.
    tensorboard: folder with event files; None if there are none.
    """
    lines = [f"  {command}" for command in _commands(best, uri, tensorboard)]
    return "\n".join(["\nNext", *lines]) if lines else ""


def _commands(best: Path, uri: str | None, tensorboard: Path | None) -> Iterator[str]:
    if uri is not None:
        yield ui_command(uri, Path.cwd())
    if tensorboard is not None:
        yield shlex.join(["tensorboard", "--logdir", relative(tensorboard).as_posix()])
    if program() == PROGRAM and (best / BEST).is_file():
        checkpoint = shlex.quote(f"checkpoint={relative(best).as_posix()}")
        yield f"python -m sweeper.evaluate {checkpoint}"
        yield f"python -m sweeper.predict {checkpoint} IMAGE..."


def ui_command(uri: str, folder: Path) -> str:
    """Return the command that shows the runs of a tracking URI, or the address to open.

    `mlflow ui` finds the database `mlflow.db` in the folder in which it is started.
    """
    shown = masked_uri(uri)
    if uri.startswith(("http://", "https://", "databricks")):
        return f"open {shown} in a browser" if uri.startswith("http") else shown
    if uri.startswith(SQLITE):
        path = Path(unquote(uri.removeprefix(SQLITE)))
        if path == folder / "mlflow.db":
            return "mlflow ui"
        shown = f"{SQLITE}{quote(relative(path, folder).as_posix(), safe='/:')}"
    return shlex.join(["mlflow", "ui", "--backend-store-uri", shown])


def relative(path: Path, folder: Path | None = None) -> Path:
    """Return a path as it can be typed in a folder: relative to it if it lies within."""
    start = folder or Path.cwd()
    absolute = path if path.is_absolute() else start / path
    return absolute.relative_to(start) if absolute.is_relative_to(start) else path
