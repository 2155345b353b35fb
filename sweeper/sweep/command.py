"""The record of the command that runs a study, so that workers can join it from elsewhere.

The record lies in the study's folder and in its storage. It holds no password.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.storages import BaseStorage

from sweeper.cli.overrides import bare_key, flags_and_overrides, quoted
from sweeper.cli.program import program
from sweeper.concealment import concealed_override
from sweeper.errors import ConfigError
from sweeper.files import write_text
from sweeper.secrets import MASK, masked_uri, without_password
from sweeper.sweep.elsewhere.address import check_file, open_existing
from sweeper.sweep.storage import JOURNAL, JOURNAL_SUFFIX
from sweeper.sweep.storage_place import absolute, file_of, is_at, lies_in, url_or_path

COMMAND_FILE = "study.yaml"
COMMAND_KEY = "sweeper:command"
OBJECT = "object:"
STORAGE = "hydra.sweeper.storage"
STARTS_STUDY_KEY = "sweeper:starts_study"
"""The attribute of a study whose command starts one without --multirun too."""
PART_VARIABLE = "SWEEPER_IS_PART"
"""The environment variable of a command that another one runs and sums up: it says in one line what
it runs, and nothing of its results."""


@dataclass(frozen=True)
class StudyCommand:
    """The command of a study.

    Args:
        study: Name of the study.
        storage: Storage of the study, without its password; None for the journal in the folder.
            That of an object without a URL or a file is `OBJECT` and the name of its class.
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
    def current(study: str, storage: str | BaseStorage | None) -> "StudyCommand":
        """Return the command of this process.

        The journal of the folder is null among the arguments too, since another study, in a folder
        of its own, may take them over.
        """
        place, arguments = _place_of(storage), [*map(without_password, sys.argv[1:])]
        if place is None:
            own = f"{STORAGE}=null"
            arguments = [own if bare_key(each) == STORAGE else each for each in arguments]
        return StudyCommand(study, place, tuple(program()), tuple(arguments), str(Path.cwd()))

    @property
    def start_folder(self) -> Path:
        """Where the command is run again: in `cwd`, or here if that is gone, as on another host."""
        folder = Path(self.cwd)
        return folder if folder.is_dir() else Path.cwd()

    @property
    def lacks_password(self) -> bool:
        """True if its storage needs a password, which is never on record."""
        return self.storage is not None and MASK in self.storage

    def place(self, folder: Path) -> str:
        """Return the storage of the study in this folder, with an absolute path.

        Raises:
            ConfigError: it is an object, which only the command itself can create.
        """
        if self.storage is None:
            return str(folder / JOURNAL)
        if self.storage.startswith(OBJECT):
            raise ConfigError(
                f"{folder}: the study is in a {self.storage.removeprefix(OBJECT)}, which has no "
                "URL on record; start the study with hydra.sweeper.storage=URL, and its folder "
                "leads to it"
            )
        return absolute(self.storage, Path(self.cwd))

    def record(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return asdict(self) | {"program": list(self.program), "arguments": list(self.arguments)}

    def write(self, study: optuna.Study, folder: Path) -> None:
        """Write the record to the study and to its folder."""
        record = self.record()
        if study.user_attrs.get(COMMAND_KEY) != record:
            study.set_user_attr(COMMAND_KEY, record)
        write_text(folder / COMMAND_FILE, OmegaConf.to_yaml(record))

    def worker(self, overrides: Sequence[str], where: Sequence[str]) -> list[str]:
        """Return the command line of a worker; `where` overrides the study's storage and folder."""
        flags, own = flags_and_overrides(self.arguments)
        return [
            sys.executable,
            *self.program,
            *flags,
            # A worker that joins has its own launcher.
            *(o for o in own if not o.lstrip("+~").startswith("hydra.launcher.")),
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


def study_of_journal(folder: Path) -> str | None:
    """Return the name of the study whose journal lies in a folder, or None if there is none."""
    try:
        command = recorded_command(folder)
    except ConfigError:
        return None
    has_journal = command.storage is None and (folder / JOURNAL).is_file()
    return command.study if has_journal else None


def rename_in_folder(folder: Path, old: str, new: str) -> None:
    """Give a database's study, which a folder was the folder of, another name in its record.

    A study whose journal lies in the folder keeps its name.
    """
    try:
        command = recorded_command(folder)
    except ConfigError:
        return
    if command.study == old and study_of_journal(folder) is None:
        record = replace(command, study=new).record()
        write_text(folder / COMMAND_FILE, OmegaConf.to_yaml(record))


def rename_in_storage(study: optuna.Study, new: str) -> None:
    """Give a study its new name in the record of its command."""
    record = study.user_attrs.get(COMMAND_KEY)
    if record is not None:
        study.set_user_attr(COMMAND_KEY, {**record, "study": new})


def follow_folder(record: Path, old: Path, new: Path) -> None:
    """Let the record of a command, in the folder `record`, name a storage that has been moved.

    It lay in the folder `old`, which is `new` now. A storage elsewhere stays on record as it is.
    """
    try:
        command = recorded_command(record)
        place = command.place(record)
    except ConfigError:
        return
    file = file_of(place)
    if file is None or command.storage is None or not lies_in(place, old):
        return
    there = new / file.resolve().relative_to(old.resolve())
    storage = place.replace(str(file), str(there))
    others = (argument for argument in command.arguments if bare_key(argument) != STORAGE)
    arguments = (*others, f"{STORAGE}={quoted(storage)}")
    moved = replace(command, storage=storage, arguments=arguments).record()
    write_text(record / COMMAND_FILE, OmegaConf.to_yaml(moved))


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
    if name is not None and is_at(place, folder.parent / JOURNAL):
        # Only workers that share the folder know which jobs follow the search.
        is_own = study_of_journal(folder.parent) == name
        folder, name = (folder.parent, None) if is_own else (folder, name)
    is_folder = os.path.isdir(folder)  # noqa: PTH112  False for a name that no file can have
    if name is None and not is_folder:
        raise ConfigError(
            f"{masked_uri(place)}: there is no such folder; type the folder of a study, such as "
            "multirun/NAME, or a storage and the name of a study"
        )
    if name is not None and is_folder:
        raise ConfigError(
            f"{place} {name}: the folder names its study; type python -m sweeper.worker {place}"
        )
    if name is None:
        command = recorded_command(folder)
        if command.lacks_password:
            raise ConfigError(
                f"{place}: the study is in {command.storage}, whose password is not on record; "
                f"type python -m sweeper.worker URL {command.study} with the whole URL"
            )
        check_file(command.place(folder))
        where = [f"hydra.sweep.dir={quoted(folder)}"]
    else:
        place = absolute(place, Path.cwd())  # the worker runs in another folder
        name, opened = open_existing(place, name)
        record = optuna.load_study(study_name=name, storage=opened).user_attrs.get(COMMAND_KEY)
        command = _parsed(record, f"{masked_uri(place)} {name}")
        where = [concealed_override(f"{STORAGE}={quoted(place)}")]
    os.chdir(command.start_folder)
    return command.worker(overrides, where)


def _place_of(storage: str | BaseStorage | None) -> str | None:
    """Return how a storage is put on record."""
    if storage is None:
        return None
    place = url_or_path(storage)
    is_known = "://" in place or place.endswith(JOURNAL_SUFFIX)
    return masked_uri(place) if is_known else f"{OBJECT}{type(storage).__qualname__}"


def _content(file: Path) -> Any:
    if not file.is_file():
        raise ConfigError(
            f"{file.parent}: this is not the folder of a study: it has no {file.name}; type the "
            "folder that the study's command printed, such as multirun/NAME"
        )
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except Exception:  # someone has edited it, or the disk was full
        return None


def _parsed(record: Any, place: str) -> StudyCommand:
    try:
        values = {field.name: record[field.name] for field in fields(StudyCommand)}
        return StudyCommand(**values | {k: tuple(values[k]) for k in ("program", "arguments")})
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{place}: the study has no record of its command; run the study's command once "
            "more, which writes it"
        ) from error
