"""The checks that a study may be moved away: nobody uses it, and its folder holds nothing else."""

import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.command import COMMAND_FILE, study_of_journal
from sweeper.sweep.explain.ablation_study import EXPLAIN_FOLDER, ablation_name
from sweeper.sweep.explain.explanation import EXPLAIN_LOCK
from sweeper.sweep.finals.stage import FINALS_JOURNAL, finals_name
from sweeper.sweep.lease import RENEWALS_PER_LEASE, Lease
from sweeper.sweep.ledger import WAIT_SECONDS
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import JOURNAL, open_storage, read_trials
from sweeper.sweep.study import open_study

log = logging.getLogger(__name__)
HYDRAS_SUBFOLDER = ".hydra"
"""The folder that Hydra makes in the folder of each trial, unless told otherwise."""


def require_idle(spec: StudySpec) -> None:
    """Check that no worker runs a trial of the study that is to be moved away.

    Nor may it do one of the jobs that follow the search, nor may the study be explained. A process
    of this host is looked up. For a sign of life of another host, this waits as long as the lease
    of a trial lasts.

    Raises:
        ConfigError: a worker does, or it is.
    """
    for name in {spec.name, study_of_journal(spec.folder) or spec.name}:
        _require_no_worker(name, spec)
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


def _require_no_worker(name: str, spec: StudySpec) -> None:
    """Check that no worker runs a trial of the study of this name, or of one that belongs to it.

    Raises:
        ConfigError: a worker does.
    """
    studies = [*_studies(name, spec)]
    leases = _leases(studies, spec)
    alive = next((lease for lease in leases if lease.process_is_alive()), None)
    alive = alive or _awaited(name, studies, spec, leases)
    if alive is not None:
        raise ConfigError(
            f"study=fresh: study {name} is running, in process {alive.pid} of {alive.host_name}; "
            "end it first, or choose another name with hydra.sweeper.study_name=NAME"
        )


def _awaited(
    name: str, studies: Sequence[Study], spec: StudySpec, leases: Sequence[Lease]
) -> Lease | None:
    """Wait until a worker that cannot be looked up changes a lease, and return the lease.

    A worker renews the lease of its trial, ends it, and writes one for the next trial. Return None
    if nothing has changed for as long as the leases last.
    """
    uncertain = [lease for lease in leases if lease.process_is_alive() is None]
    if not uncertain:
        return None
    seconds = max(lease.lasts(spec.budget.lease_seconds) for lease in uncertain)
    log.info(
        "study=fresh: waiting up to %g s for a sign of life of study %s, which %s was running; "
        "without one, it is moved away",
        seconds,
        name,
        ", ".join(sorted({lease.host_name for lease in uncertain})),
    )
    wait = min(WAIT_SECONDS, seconds / RENEWALS_PER_LEASE)
    for _ in range(math.ceil(seconds / wait)):
        time.sleep(wait)
        if changes := {*leases} ^ {*_leases(studies, spec)}:
            return changes.pop()
    return None


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


def _studies(name: str, spec: StudySpec) -> Iterator[Study]:
    """Yield the study of this name and those that belong to it, as far as they exist.

    The folder to be moved may hold the journal of one, although that of `spec` is in a database.
    """
    names = {name: JOURNAL, finals_name(name): FINALS_JOURNAL}
    # An explanation that was killed leaves its runs to go on.
    for ablation in (spec.folder / EXPLAIN_FOLDER).glob("*"):
        names[ablation_name(name, ablation.name)] = str(ablation / JOURNAL)
    for each, journal in names.items():
        file = spec.folder / journal
        places: list[str | BaseStorage] = [str(file)] if file.is_file() else []
        places += [] if spec.storage is None else [spec.storage]
        for place in places:
            # A journal may be damaged, and a storage may lack the study.
            with suppress(ConfigError, KeyError):
                yield open_study(each, open_storage(place, spec.folder))


def _leases(studies: Sequence[Study], spec: StudySpec) -> list[Lease]:
    """Return the leases of the trials that run, but not of those that this process left behind."""
    trials = [t for each in studies for t in read_trials(each._storage, each._study_id)]
    leases = (Lease.read(t.system_attrs) for t in trials if t.state == TrialState.RUNNING)
    return [each for each in leases if each and not each.was_left_by_this_process(spec.command)]
