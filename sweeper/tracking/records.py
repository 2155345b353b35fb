"""The records of an outbox: their format on disk, and which of them can be used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sweeper.text import printable, shortened
from sweeper.tracking.tracker import Milliseconds, Status, Step, TrialEnd

Operation = Literal["start", "metrics", "tags", "artifact", "model", "reconcile", "finish"]
FILES = "files"
"""The folder of an outbox that holds its artifacts."""


class DamagedRecordError(Exception):
    """A line that is no record, or a record that cannot be used; the message says why."""


@dataclass(frozen=True)
class Record:
    """One operation on a run.

    time: milliseconds since 1970.
    begin, end: the offsets in the file, in bytes, at which the record begins and ends.
    """

    op: Operation
    time: int
    body: Mapping[str, Any]
    begin: int = 0
    end: int = 0


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Dataset(_Body):
    name: str
    digest: str
    source: str
    profile: str = "{}"


class _Start(_Body):
    uri: str
    experiment: str
    name: str | None = None
    run_id: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    dataset: _Dataset | None = None
    history: list[dict[str, float]] = []
    """The metrics after each epoch before this attempt, for a run that lacks them."""


class _Metrics(_Body):
    metrics: dict[str, float]
    step: Step
    time: Milliseconds | None = None
    """When the values were measured, if that was before they were recorded."""


class _Tags(_Body):
    tags: dict[str, str]
    prefix: str | None = None
    """The tags replace all tags of the run whose names have this prefix."""


class _Artifact(_Body):
    path: str
    folder: str = ""


class _Model(_Body):
    path: str
    """The folder with the files of the model."""
    metrics: dict[str, float] = {}
    step: Step = 0
    registered_as: str | None = None


class _Reconcile(_Body):
    model_config = ConfigDict(strict=False)  # a strict model takes no mapping for a dataclass

    study: str
    study_key: str | None = None
    trials: list[TrialEnd]
    note: str = ""
    winner: int | None = None
    """The trial whose model is that of the study, if it has one."""
    registered_as: str | None = None


class _Finish(_Body):
    status: Status
    reason: str = ""


class _Envelope(_Body):
    op: Operation
    time: Milliseconds
    body: dict[str, Any]


_ENVELOPE = TypeAdapter(_Envelope)
_BODIES: Mapping[Operation, type[_Body]] = {
    "start": _Start,
    "metrics": _Metrics,
    "tags": _Tags,
    "artifact": _Artifact,
    "model": _Model,
    "reconcile": _Reconcile,
    "finish": _Finish,
}


def parse(line: bytes, outbox: Path) -> Record:
    """Return the record on a line of the outbox at `outbox`; its body has all keys of its kind.

    Raises:
        DamagedRecordError: the line is no record, has a value of a wrong type, or names a file
            outside of the outbox's files.
    """
    try:
        envelope = _ENVELOPE.validate_python(_storable(json.loads(line.decode())))
        body = _BODIES[envelope.op].model_validate(envelope.body).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        message = f"{key}: {first['msg']}" if key else "it is no record"
        raise DamagedRecordError(shortened(printable(message), 200)) from error
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError("it is not a line of JSON") from error
    if envelope.op == "artifact":
        _check_is_stored(outbox, body["path"])
        _check_stays_below(body["folder"])
    if envelope.op == "model":
        _check_is_stored_folder(outbox, body["path"])
    return Record(envelope.op, envelope.time, body)


def _check_is_stored(outbox: Path, path: str) -> None:
    """Check that an artifact is a file among the outbox's own, or is missing there.

    A path that leads elsewhere, over `..` or a symbolic link, would upload a stranger's file.
    """
    try:
        target = (outbox / path).resolve()
        inside = target.is_relative_to(outbox.resolve() / FILES)
        usable = inside and (target.is_file() or not target.exists())
    except (OSError, ValueError, RuntimeError):  # a name that is too long, a NUL, a ring of links
        usable = False
    if not usable:
        raise DamagedRecordError(f"the artifact {shortened(path, 100)!r} is not among its files")


def _check_is_stored_folder(outbox: Path, path: str) -> None:
    """Check that a folder and all in it are among the outbox's own files, or that it is missing."""
    try:
        folder = outbox / path
        files = [folder, *folder.rglob("*")]
        own = outbox.resolve() / FILES
        usable = all(file.resolve().is_relative_to(own) for file in files)
        usable = usable and folder.resolve() != own and (folder.is_dir() or not folder.exists())
    except (OSError, ValueError, RuntimeError):
        usable = False
    if not usable:
        raise DamagedRecordError(f"the model {shortened(path, 100)!r} is not among its files")


def _check_stays_below(folder: str) -> None:
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts:
        raise DamagedRecordError(
            f"{shortened(folder, 100)!r} is no folder below the run's artifacts"
        )


def _storable(value: Any) -> Any:
    """Return a JSON value without the characters that databases refuse in a text.

    These are the halves of surrogate pairs, which Python puts into names of files that are not
    UTF-8, and the character NUL.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "?")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value
