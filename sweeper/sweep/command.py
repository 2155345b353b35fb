"""The record of the command that runs a study, so that workers can join it from elsewhere.

The record lies in the study's folder and in its storage. It holds no password.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf

from sweeper.cli.overrides import quoted
from sweeper.cli.program import program
from sweeper.concealment import concealed_override
from sweeper.errors import ConfigError
from sweeper.files import write_text
from sweeper.secrets import masked_uri, without_password
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import open_study

COMMAND_FILE = "study.yaml"
COMMAND_KEY = "sweeper:command"


@dataclass(frozen=True)
class StudyCommand:
    """The command of a study.

    Args:
        study: Name of the study.
        storage: Storage of the study, without its password; None for the journal in the folder.
        program: Arguments of Python that run the application.
        arguments: Arguments of the application.
        cwd: Folder in which the command was started.
    """

    study: str
    storage: str | None
    program: tuple[str, ...]
    arguments: tuple[str, ...]
    cwd: str

    @staticmethod
    def current(study: str, storage: Any) -> "StudyCommand":
        """Return the command of this process."""
        shown = masked_uri(storage) if isinstance(storage, str) else None
        arguments = tuple(without_password(argument) for argument in sys.argv[1:])
        return StudyCommand(study, shown, tuple(program()), arguments, str(Path.cwd()))

    def write(self, study: optuna.Study, folder: Path) -> None:
        """Write the record to the study and to its folder."""
        record = asdict(self) | {"program": list(self.program), "arguments": list(self.arguments)}
        if study.user_attrs.get(COMMAND_KEY) != record:
            study.set_user_attr(COMMAND_KEY, record)
        write_text(folder / COMMAND_FILE, OmegaConf.to_yaml(record))

    def worker(self, overrides: Sequence[str], where: Sequence[str]) -> list[str]:
        """Return the command line of a worker; `where` overrides the study's storage and folder."""
        return [
            sys.executable,
            *self.program,
            # A worker that joins has its own launcher.
            *(a for a in self.arguments if not a.lstrip("+~").startswith("hydra.launcher.")),
            f"hydra.sweeper.study_name={quoted(self.study)}",
            "hydra.sweeper.study=resume",
            "hydra.sweeper.join=true",
            "hydra/launcher=local",
            "hydra.sweeper.n_jobs=1",
            *where,
            *overrides,
        ]


def recorded_command(folder: Path) -> StudyCommand:
    """Return the command of the study in a folder.

    Raises:
        ConfigError: this is not the folder of a study.
    """
    return _parsed(_content(folder / COMMAND_FILE), str(folder))


def worker_command(place: str, name: str | None, overrides: Sequence[str]) -> list[str]:
    """Return the command line of a worker for a study, and enter the folder of its command.

    Args:
        place: Folder of the study or, together with `name`, its storage.
        name: Name of the study in a storage.
        overrides: Further overrides of the worker, such as `hydra.sweeper.n_jobs=4`.

    Raises:
        ConfigError: there is no such study, or its command is not known.
    """
    folder = Path(place).absolute()
    if name is None and not folder.is_dir():
        raise ConfigError(
            f"{masked_uri(place)}: there is no such folder; type the folder of a study, such as "
            "multirun/NAME, or a storage and the name of a study"
        )
    if name is None:
        command = recorded_command(folder)
        if command.storage is not None and "***" in command.storage:
            raise ConfigError(
                f"{place}: the study is in {command.storage}, whose password is not on record; "
                f"type python -m sweeper.worker URL {command.study} with the whole URL"
            )
        where = [f"hydra.sweep.dir={quoted(folder)}"]
    else:
        place = _absolute(place)  # the worker runs in another folder
        command = _parsed(_stored(place, name), f"{masked_uri(place)} {name}")
        where = [concealed_override(f"hydra.sweeper.storage={quoted(place)}")]
    if Path(command.cwd).is_dir():
        os.chdir(command.cwd)
    return command.worker(overrides, where)


def _absolute(storage: str) -> str:
    """Return a storage with an absolute path, and check that its file exists.

    Raises:
        ConfigError: there is no such file.
    """
    scheme = "sqlite:///" if storage.startswith("sqlite:///") else ""
    if not scheme and "://" in storage:
        return storage
    path = Path(storage.removeprefix(scheme)).absolute()
    if not path.is_file():
        raise ConfigError(f"{storage}: there is no such file; type the storage of a study")
    return f"{scheme}{path}"


def _content(file: Path) -> Any:
    if not file.is_file():
        raise ConfigError(
            f"{file.parent}: this is not the folder of a study: it has no {file.name}; type the "
            "folder that the study's command printed, such as multirun/NAME"
        )
    return OmegaConf.to_container(OmegaConf.load(file))


def _stored(storage: str, name: str) -> Any:
    opened = open_storage(storage, Path.cwd())
    names = [s.study_name for s in opened.get_all_studies()]
    if name not in names:
        raise ConfigError(
            f"{masked_uri(storage)} has no study {name}; choose from {', '.join(names) or 'none'}"
        )
    return open_study(name, opened).user_attrs.get(COMMAND_KEY)


def _parsed(record: Any, place: str) -> StudyCommand:
    try:
        values = {field.name: record[field.name] for field in fields(StudyCommand)}
        return StudyCommand(**values | {k: tuple(values[k]) for k in ("program", "arguments")})
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{place}: the study has no record of its command; run the study's command once "
            "more, which writes it"
        ) from error
