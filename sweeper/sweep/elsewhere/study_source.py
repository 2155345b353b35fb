"""The finished trials of another Optuna study, from its folder or its storage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.secrets import MASK, connectable, masked_uri, revealed
from sweeper.sweep.budget import is_own, may_be_best
from sweeper.sweep.command import COMMAND_FILE, recorded_command
from sweeper.sweep.elsewhere.address import address, open_existing
from sweeper.sweep.elsewhere.finding import Finding, Findings
from sweeper.sweep.elsewhere.sources import Source
from sweeper.sweep.identity import CONFIG, METRIC
from sweeper.sweep.lease import Lease
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import JOURNAL, open_storage
from sweeper.sweep.storage_place import absolute, file_of
from sweeper.sweep.study import IDENTITY_KEY

OPTION = "option "


def study_findings(source: Source, own: StudySpec) -> Findings:
    """Return the complete and feasible trials of the study that a source names.

    Raises:
        ConfigError: there is no such study, it cannot be opened, or it is the study `own` itself.
    """
    storage, name = _located(source)
    name, opened = _opened(source, storage, name)
    if name == own.name and address(storage) == address(own.storage or own.folder / JOURNAL):
        raise source.refused("is this study itself; name another study")
    study = optuna.load_study(study_name=name, storage=opened)
    identity = study.user_attrs.get(IDENTITY_KEY) or {}
    config = _config(identity)
    trials = filter(may_be_best, study.get_trials(deepcopy=False))
    findings = [Finding(t.params, tuple(t.values), config) for t in trials]
    directions = tuple(d.name.lower() for d in study.directions)
    return Findings(findings, directions, "complete trials", identity.get(METRIC, ""))


def has_begun(spec: StudySpec) -> bool:
    """Return whether the study exists and one of its trials has started.

    Raises:
        ConfigError: the storage cannot be opened.
    """
    place = file_of(str(spec.folder / JOURNAL) if spec.storage is None else spec.storage)
    if place is not None and not place.is_file():
        return False
    storage = open_storage(spec.storage, spec.folder)
    if spec.name not in optuna.get_all_study_names(storage):
        return False
    trials = optuna.load_study(study_name=spec.name, storage=storage).get_trials(deepcopy=False)
    started = (
        t.state != TrialState.WAITING or Lease.read(t.system_attrs) for t in trials if is_own(t)
    )
    return any(started)


def _located(source: Source) -> tuple[str, str | None]:
    """Return the storage of a study, with an absolute path, and the study's name if it is known."""
    if source.stored_study is not None:
        storage, name = source.stored_study
        return absolute(storage, Path.cwd()), name
    folder = Path(source.place).absolute()
    if not folder.is_dir():
        raise source.refused(
            "there is no such folder; type the folder of a study, such as multirun/NAME, "
            "a storage and the name of a study, or mlflow:EXPERIMENT"
        )
    if not (folder / COMMAND_FILE).is_file():
        if not (folder / JOURNAL).is_file():
            raise source.refused(
                f"is not the folder of a study: it has no {COMMAND_FILE}; type multirun/NAME"
            )
        return str(folder / JOURNAL), None
    try:
        command = recorded_command(folder)
    except ConfigError as error:
        raise source.refused(error) from error
    storage = command.place(folder)
    if MASK in storage:
        raise source.refused(
            f"the password of {storage} is not on record; type "
            f"'hydra.sweeper.enqueue_from=URL {command.study}' with the whole URL"
        )
    return storage, command.study


def _opened(source: Source, storage: str, name: str | None) -> tuple[str, BaseStorage]:
    """Return the name of the study and its storage."""
    try:
        return open_existing(storage, name)
    except ConfigError as error:
        shown = masked_uri(connectable(revealed(storage)))
        reason = str(error).removeprefix(f"hydra.sweeper.storage={shown}: ")
        raise source.refused(reason) from error


def _config(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options and values that all trials of a study share, by config key."""
    shared = [(prefix, key) for prefix in (CONFIG, OPTION) for key in identity]
    return {k.removeprefix(prefix): identity[k] for prefix, k in shared if k.startswith(prefix)}
