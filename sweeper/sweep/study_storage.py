"""The storage of a study, ready for its workers."""

import time
from dataclasses import replace

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.secrets import masked_uri
from sweeper.sweep.command import study_of_journal
from sweeper.sweep.finals.agenda import finals_storage, prepare_finals
from sweeper.sweep.finals.stage import finals_name
from sweeper.sweep.idle import require_idle, require_movable
from sweeper.sweep.ledger import LOCK_FILE
from sweeper.sweep.plan import StudyPlan
from sweeper.sweep.points import enqueue
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage
from sweeper.sweep.storage_place import lies_in
from sweeper.sweep.study import (
    MULTIRUN_FILE,
    create_study,
    is_study_folder,
    open_study,
    set_aside,
    set_folder_aside,
)

# The numbers of the trials that had failed when the last command started.
FAILED_BEFORE_KEY = "sweeper:failed_before"
# The time limit of the last command, in seconds, and the time at which it passes.
TIME_LIMIT_KEY = "sweeper:time_limit"


def prepare_storage(plan: StudyPlan) -> tuple[StudyPlan, BaseStorage]:
    """Return the study's storage, with the study created or checked and its points enqueued.

    The plan is returned too, with what had failed before its command.

    Raises:
        ConfigError: the study is another one, or `study=fresh` would move one that is in use.
    """
    spec, folder = plan.spec, plan.spec.folder
    if plan.settings.fresh:
        require_idle(spec)
        if is_study_folder(folder):
            require_movable(folder)
    if plan.settings.fresh:
        _set_aside(spec)
    storage = open_storage(spec.storage, folder)  # first, since it may be refused
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK_FILE):
        if spec.name not in {s.study_name for s in storage.get_all_studies()}:
            _require_new(plan)
        place = masked_uri(spec.storage) if isinstance(spec.storage, str) else "STORAGE"
        create_study(spec.name, storage, plan.identity, place)
        prepare_finals(spec, storage, plan.settings.directions)
        study = open_study(spec.name, storage)
        plan = _with_deadline(_with_failed_before(plan, storage), study)
        budget = plan.spec.budget
        is_spent = budget.is_spent(study.get_trials(deepcopy=False), time.time())
        # What failed under a command, a later one alone tries again, and not a worker of the first.
        enqueue(study, plan.initial_points, again=not (plan.settings.join or is_spent))
    return plan, storage


def _set_aside(spec: StudySpec) -> None:
    """Move the study away: with its folder, or in the storage that stays where it is.

    Raises:
        ConfigError: the storage, an object that has opened its file, would be moved.
    """
    storage, folder = spec.storage, spec.folder
    is_moved = storage is None or (is_study_folder(folder) and lies_in(storage, folder))
    if is_moved and isinstance(storage, BaseStorage):
        raise ConfigError(
            f"study=fresh: the storage lies in {folder}, which is moved away, and an object keeps "
            "its file open; type the URL or the path, hydra.sweeper.storage=sqlite:///study.db"
        )
    if is_moved:
        set_folder_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)  # SQLite creates a file, but no folder
    elif storage is not None:
        set_aside(spec.name, open_storage(storage, folder), folder)


def _with_failed_before(plan: StudyPlan, storage: BaseStorage) -> StudyPlan:
    spec, join = plan.spec, plan.settings.join
    finals, failed = spec.finals, _failed_before(spec.name, storage, join)
    if finals.is_needed:
        jobs = _failed_before(finals_name(spec.name), finals_storage(spec, storage), join)
        finals = replace(finals, failed_before=jobs)
    budget = replace(spec.budget, failed_before=failed)
    return replace(plan, spec=replace(spec, budget=budget, finals=finals))


def _with_deadline(plan: StudyPlan, study: Study) -> StudyPlan:
    """Return the plan; a worker that joins ends with the command that it joins."""
    spec, seconds = plan.spec, plan.settings.timeout_seconds
    if seconds is None or spec.budget.deadline is None:
        return plan
    deadline = common_deadline(study, seconds, spec.budget.deadline, plan.settings.join)
    return replace(plan, spec=replace(spec, budget=replace(spec.budget, deadline=deadline)))


def common_deadline(study: Study, seconds: float, deadline: float, join: bool) -> float:
    """Return the deadline of a command with a time limit; one that does not join records its own.

    A worker that joins has that of the last command, unless it was given another limit than this
    one, or that time has passed.

    seconds: the limit.
    deadline: when the limit passes if it counts from now, in seconds since 1970.
    """
    if not join:
        study.set_user_attr(TIME_LIMIT_KEY, [seconds, deadline])
        return deadline
    limit, recorded = study.user_attrs.get(TIME_LIMIT_KEY, (seconds, deadline))
    has_passed = recorded <= time.time()
    return deadline if limit != seconds or has_passed else float(recorded)


def _failed_before(name: str, storage: BaseStorage, join: bool) -> frozenset[int]:
    """Return the numbers of a study's trials that had failed when its command started.

    Workers that join the command read them, so that they do not run again what failed under it.
    """
    study = open_study(name, storage)
    recorded = study.user_attrs.get(FAILED_BEFORE_KEY, [])
    if join:
        return frozenset(recorded)
    failed = [t.number for t in study.get_trials(deepcopy=False, states=[TrialState.FAIL])]
    if failed != recorded:
        study.set_user_attr(FAILED_BEFORE_KEY, failed)
    return frozenset(failed)


def _require_new(plan: StudyPlan) -> None:
    """Check that a study that the storage does not have may be created.

    Raises:
        ConfigError: a worker cannot join it, or its folder holds another study's trials.
    """
    name, folder = plan.spec.name, plan.spec.folder
    if plan.settings.join:
        raise ConfigError(
            f"study {name} does not exist; start it with its command before workers join it"
        )
    other, has_database = study_of_journal(folder), plan.spec.storage is not None
    if other is not None and (other != name or has_database):
        reason = "is kept in its journal there" if has_database else "has other settings"
        raise ConfigError(
            f"{folder} is the folder of study {other}, which {reason}; type another "
            "folder with hydra.sweep.dir=PATH, or study=fresh (hydra.sweeper.study=fresh), which "
            "moves that study away"
        )
    if (folder / MULTIRUN_FILE).is_file() and any(folder.glob("[0-9]*")):
        raise ConfigError(
            f"{folder} holds the trials of a study, but the study's storage does not know study "
            f"{name}: it was emptied, lost or replaced; put it back, or type study=fresh "
            "(hydra.sweeper.study=fresh), which moves the folder away and starts a new study"
        )
