"""The checks that a study may be moved away: nobody uses it, and its folder holds nothing else."""

import os
from pathlib import Path

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.command import COMMAND_FILE, study_of_journal
from sweeper.sweep.explain.ablation_study import EXPLAIN_FOLDER, ablation_name
from sweeper.sweep.explain.explanation import EXPLAIN_LOCK
from sweeper.sweep.finals.stage import FINALS_JOURNAL, finals_name
from sweeper.sweep.lease import Lease
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import JOURNAL, open_storage
from sweeper.sweep.study import open_study

HYDRAS_SUBFOLDER = ".hydra"
"""The folder that Hydra makes in the folder of each trial, unless told otherwise."""


def require_idle(spec: StudySpec) -> None:
    """Check that no worker on this host runs a trial of the study that is to be moved away.

    Nor may it do one of the jobs that follow the search, nor may the study be explained.

    Raises:
        ConfigError: a worker does, or it is.
    """
    for name in {spec.name, study_of_journal(spec.folder) or spec.name}:
        studies = [(name, JOURNAL), (finals_name(name), FINALS_JOURNAL)]
        # An explanation that was killed leaves its runs to go on.
        for ablation in (spec.folder / EXPLAIN_FOLDER).glob("*"):
            studies.append((ablation_name(name, ablation.name), str(ablation / JOURNAL)))
        leases = [lease for study, journal in studies for lease in _leases(study, spec, journal)]
        used = (lease for lease in leases if not lease.was_left_by_this_process(spec.command))
        alive = [lease for lease in used if lease.process_is_alive()]
        if alive:
            raise ConfigError(
                f"study=fresh: study {name} is running, in process {alive[0].pid} of "
                f"{alive[0].host_name}; end it first, or choose another name with "
                "hydra.sweeper.study_name=NAME"
            )
    lock = spec.folder / EXPLAIN_LOCK
    if not lock.exists():
        return
    try:
        with locked(lock, wait=False):
            pass
    except BlockingIOError as error:
        raise ConfigError(
            f"study=fresh: python -m sweeper.explain {spec.folder} is running; end it first, or "
            "choose another name with hydra.sweeper.study_name=NAME"
        ) from error


def require_movable(folder: Path) -> None:
    """Check that the folder of a study holds nothing else, so that it may be moved away.

    Raises:
        ConfigError: the program works in it, or other studies have their folders in it.
    """
    here, absolute = Path.cwd().resolve(), folder.resolve()
    if absolute == here or absolute in here.parents:
        reason = "the working folder" if absolute == here else "a folder above the working folder"
    elif _holds_other_studies(folder):
        reason = "the folder of other studies too"
    else:
        return
    raise ConfigError(
        f"study=fresh: {folder} is {reason}, so it is not moved away; start the new study in "
        "another one with hydra.sweep.dir=multirun/NAME"
    )


def _holds_other_studies(folder: Path) -> bool:
    """Return whether other studies have their folders in that of a study, at any depth.

    Those of its ablations are its own. The folders of its trials, of which there may be thousands,
    are not searched.
    """
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name != EXPLAIN_FOLDER]
        elif COMMAND_FILE in files:
            return True
        elif HYDRAS_SUBFOLDER in folders:
            folders.clear()
    return False


def _leases(name: str, spec: StudySpec, journal: str) -> list[Lease]:
    """Return the leases of a study's running trials.

    The folder to be moved may hold the file `journal` of a study, although the one of `spec` is in
    a database.
    """
    file = spec.folder / journal
    places: list[str | BaseStorage] = [str(file)] if file.is_file() else []
    places += [] if spec.storage is None else [spec.storage]
    return [lease for place in places for lease in _leases_in(place, name, spec.folder)]


def _leases_in(place: str | BaseStorage, name: str, folder: Path) -> list[Lease]:
    try:
        trials = open_study(name, open_storage(place, folder)).get_trials(deepcopy=False)
    except (ConfigError, KeyError):
        return []  # a damaged journal, or no such study
    leases = (Lease.read(t.system_attrs) for t in trials if t.state == TrialState.RUNNING)
    return [lease for lease in leases if lease is not None]
