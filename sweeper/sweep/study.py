"""Creating and opening studies, and refusing one whose search differs from the command's."""

import re
import shutil
from datetime import datetime
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy

from sweeper.cli.overrides import override_text, shell_word
from sweeper.errors import ConfigError
from sweeper.sweep.command import (
    COMMAND_FILE,
    follow_folder,
    rename_in_folder,
    rename_in_storage,
)
from sweeper.sweep.explain.ablation_study import EXPLAIN_FOLDER, ablation_name
from sweeper.sweep.finals.stage import finals_name
from sweeper.sweep.identity import (
    GROWING,
    StudyIdentity,
    common_growing,
    difference,
    record_of_others,
)
from sweeper.sweep.storage import JOURNAL

IDENTITY_KEY = "sweeper:search"
MULTIRUN_FILE = "multirun.yaml"
PARENT_KEY = "sweeper:parent_id"


class PulledStudy(optuna.Study):
    """A study whose workers ask for trials one by one, without Optuna's `optimize` loop."""

    def stop(self) -> None:
        """Do nothing.

        Some samplers call it when they have no more points, but here the budget ends a study.
        Optuna's own method raises outside `optimize`.
        """


def open_study(
    name: str,
    storage: BaseStorage,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
) -> PulledStudy:
    """Open an existing study."""
    return PulledStudy(study_name=name, storage=storage, sampler=sampler, pruner=pruner)


def create_study(
    name: str, storage: BaseStorage, identity: StudyIdentity, place: str = "STORAGE"
) -> None:
    """Create the study, or check that an existing one has this identity.

    `place` is the storage in words, for messages.

    Raises:
        ConfigError: a study with this name has another identity.
    """
    directions = [StudyDirection[d.upper()] for d in identity.directions]
    existing = next((s for s in storage.get_all_studies() if s.study_name == name), None)
    record = identity.record()
    if existing is None:
        try:
            study = optuna.create_study(study_name=name, storage=storage, directions=directions)
        except DuplicatedStudyError:  # a command in another folder has created it just now
            create_study(name, storage, identity, place)
            return
        study.set_user_attr(IDENTITY_KEY, record)
        return
    changes = _changes(existing, storage, identity)
    if changes:
        raise ConfigError(
            f"study {name} exists with other settings ({changes}); choose another name with "
            "hydra.sweeper.study_name=NAME, or move the old study away with "
            f"hydra.sweeper.study=fresh{_taking_over(existing, storage, identity, place)}"
        )
    stored = existing.user_attrs.get(IDENTITY_KEY, record)
    known = record | {GROWING: common_growing(stored, record)}
    if existing.user_attrs.get(IDENTITY_KEY) != known:  # it knew less of itself
        optuna.load_study(study_name=name, storage=storage).set_user_attr(IDENTITY_KEY, known)


def compare_study(name: str, storage: BaseStorage, identity: StudyIdentity) -> None:
    """Check that an existing study has this identity.

    Raises:
        ConfigError: it has another one, or there is no such study.
    """
    existing = next((s for s in storage.get_all_studies() if s.study_name == name), None)
    if existing is None:
        raise ConfigError(f"study {name} does not exist; start it with its command")
    changes = _changes(existing, storage, identity)
    if changes:
        raise ConfigError(
            f"the settings of study {name} have changed since it was started ({changes}); change "
            "them back, or run its command with study=fresh (hydra.sweeper.study=fresh)"
        )


def set_aside(name: str, storage: BaseStorage, folder: Path) -> None:
    """Append the time to the names of a database's study and of its folder, if they exist.

    The studies of its ablations are named after it, so they are renamed too.
    """
    stamp = _stamp()
    aside = f"{name}.{stamp}"
    names = {s.study_name for s in storage.get_all_studies()}
    if finals_name(name) in names:
        _rename(finals_name(name), finals_name(aside), storage)
    moved = set_folder_aside(folder, stamp)
    # Others may write to the database, and what they name must not lead out of the folder.
    ablations = re.compile(re.escape(ablation_name(name, "")) + r"(\d[^/\\]*)")
    for old in sorted(names):
        found = ablations.fullmatch(old)
        if old != name and found is None:
            continue
        new = aside if found is None else ablation_name(aside, found[1])
        _rename(old, new, storage)
        rename_in_storage(open_study(new, storage), new)
        if moved is not None and found is not None:
            rename_in_folder(moved / EXPLAIN_FOLDER / found[1], old, new)
    if moved is not None:
        rename_in_folder(moved, name, aside)


def _rename(name: str, new: str, storage: BaseStorage) -> None:
    optuna.copy_study(
        from_study_name=name, from_storage=storage, to_storage=storage, to_study_name=new
    )
    optuna.delete_study(study_name=name, storage=storage)


def set_folder_aside(folder: Path, stamp: str | None = None) -> Path | None:
    """Append the time to the name of a study's folder, with a journal or another storage in it.

    Return the path that the folder has then; None if it is not the folder of a study.
    """
    if not is_study_folder(folder):
        return None
    moved = folder.with_name(f"{folder.name}.{stamp or _stamp()}")
    shutil.move(folder, moved)
    for each in (moved, *(moved / EXPLAIN_FOLDER).glob("*")):
        follow_folder(each, folder, moved)
    return moved


def is_study_folder(folder: Path) -> bool:
    """Return whether a study has its files in a folder."""
    if any((folder / name).is_file() for name in (COMMAND_FILE, JOURNAL)):
        return True
    return (folder / MULTIRUN_FILE).is_file() and any(folder.glob("[0-9]*"))


def _stamp() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S")


def _changes(existing: FrozenStudy, storage: BaseStorage, identity: StudyIdentity) -> str:
    """Return what differs between a study and an identity, or an empty text."""
    record = identity.record()
    stored = existing.user_attrs.get(IDENTITY_KEY)
    if stored is None:  # another program created the study: its directions and trials are known
        searched = _searched(existing, storage)
        stored = record_of_others(identity, searched)
        stored["direction"] = ", ".join(d.name.lower() for d in existing.directions)
    return difference(stored, record)


def _searched(existing: FrozenStudy, storage: BaseStorage) -> dict[str, BaseDistribution]:
    """Return the distributions that the trials of a study have, by Optuna's names."""
    trials = storage.get_all_trials(existing._study_id, deepcopy=False)
    return {name: each for trial in trials for name, each in trial.distributions.items()}


def _taking_over(
    existing: FrozenStudy, storage: BaseStorage, identity: StudyIdentity, place: str
) -> str:
    """Return how a new study begins with the points of another program's, if it searches a key."""
    is_own = existing.user_attrs.get(IDENTITY_KEY) is not None
    if is_own or not identity.space.keys() & _searched(existing, storage).keys():
        return ""
    source = override_text(f"{place} {existing.study_name}")
    override = shell_word(f"hydra.sweeper.enqueue_from={source}")
    return f"; with another name, {override} begins with its best points"
