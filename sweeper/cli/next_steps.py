"""What to type after a run or a study, as commands with their paths."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from sweeper.cli.program import program
from sweeper.secrets import masked_uri

SQLITE = "sqlite:///"
UI_ADDRESS = "http://127.0.0.1:5000"
"""Where `mlflow ui` listens."""
BEST = "checkpoints/best.pt"
PROGRAM = ["-m", "sweeper"]


def next_steps(
    best: Path | None, uri: str | None, tensorboard: Path | None = None, page: str | None = None
) -> str:
    """Return the commands in lines, or an empty text if there are none.

    best: folder of the best network; `evaluate` and `predict` take it if it has a checkpoint. None
        if it is not known to be the best.
    uri: where MLflow has the run; None if nowhere.
    tensorboard: folder with event files; None if there are none.
    page: the address of the run's page, below that of MLflow; None if it is not known.
    """
    lines = [f"  {command}" for command in _commands(best, uri, tensorboard, page)]
    return "\n".join(["\nNext", *lines]) if lines else ""


def _commands(
    best: Path | None, uri: str | None, tensorboard: Path | None, page: str | None
) -> Iterator[str]:
    if uri is not None:
        yield from ui_commands(uri, Path.cwd(), page)
    if tensorboard is not None:
        yield shlex.join(["tensorboard", "--logdir", relative(tensorboard).as_posix()])
    if program() == PROGRAM and best is not None and (best / BEST).is_file():
        checkpoint = shlex.quote(f"checkpoint={relative(best).as_posix()}")
        yield f"python -m sweeper.evaluate {checkpoint}"
        yield f"python -m sweeper.predict {checkpoint} IMAGE..."


def ui_commands(uri: str, folder: Path, page: str | None) -> Iterator[str]:
    """Yield what shows the runs of a tracking URI, and the page of one of them if it is known.

    The bare address opens MLflow's view for language models, so the page is worth a line.
    """
    if uri.startswith(("http://", "https://")):
        yield f"open {masked_uri(uri).rstrip('/')}{f'/{page}' if page else ''} in a browser"
        return
    yield ui_command(uri, folder)
    if page is not None and not uri.startswith("databricks"):
        yield f"open {UI_ADDRESS}/{page} in a browser"


def ui_command(uri: str, folder: Path) -> str:
    """Return the command that shows the runs of a database.

    `mlflow ui` finds the database `mlflow.db` in the folder in which it is started. It ends with an
    error if there are files of an older MLflow too, unless the database is named.
    """
    shown = masked_uri(uri)
    if uri.startswith("databricks"):
        return shown
    if uri.startswith(SQLITE):
        name, mark, query = shown.removeprefix(SQLITE).partition("?")
        path = Path(unquote(name))
        if path == folder / "mlflow.db" and not _has_older_files(folder):
            return "mlflow ui"
        shown = f"{SQLITE}{quote(relative(path, folder).as_posix(), safe='/:')}{mark}{query}"
    return shlex.join(["mlflow", "ui", "--backend-store-uri", shown])


def _has_older_files(folder: Path) -> bool:
    return any(file.parent.name.isdigit() for file in folder.glob("mlruns/*/meta.yaml"))


def relative(path: Path, folder: Path | None = None) -> Path:
    """Return a path as it can be typed in a folder: relative to it if it lies within."""
    start = folder or Path.cwd()
    absolute = path if path.is_absolute() else start / path
    return absolute.relative_to(start) if absolute.is_relative_to(start) else path
