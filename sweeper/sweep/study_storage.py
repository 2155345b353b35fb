"""The storage of a study, ready for its workers."""

import time

from optuna.storages import BaseStorage

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.finals.agenda import prepare_finals
from sweeper.sweep.idle import require_idle
from sweeper.sweep.ledger import LOCK_FILE
from sweeper.sweep.plan import StudyPlan
from sweeper.sweep.points import enqueue
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import create_study, open_study, set_aside, set_folder_aside

MULTIRUN_FILE = "multirun.yaml"


def prepare_storage(plan: StudyPlan) -> BaseStorage:
    """Return the study's storage, with the study created or checked and its points enqueued.

    Raises:
        ConfigError: the study is another one, or `study=fresh` would move one that is in use.
    """
    spec, folder = plan.spec, plan.spec.folder
    if plan.settings.fresh:
        require_idle(spec)
    if plan.settings.fresh and spec.storage is None:
        set_folder_aside(folder)
    elif plan.settings.fresh:
        set_aside(spec.name, open_storage(spec.storage, folder), folder)
    storage = open_storage(spec.storage, folder)  # first, since it may be refused
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK_FILE):
        if spec.name not in {s.study_name for s in storage.get_all_studies()}:
            _require_new(plan)
        create_study(spec.name, storage, plan.identity)
        prepare_finals(spec, storage, plan.settings.directions)
        study = open_study(spec.name, storage)
        is_spent = spec.budget.is_spent(study.get_trials(deepcopy=False), time.time())
        # What failed under a command, a later one alone tries again, and not a worker of the first.
        enqueue(study, plan.initial_points, again=not (plan.settings.join or is_spent))
    return storage


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
    if (folder / MULTIRUN_FILE).is_file() and any(folder.glob("[0-9]*")):
        raise ConfigError(
            f"{folder} holds the trials of a study, but the study's storage does not know study "
            f"{name}: it was emptied, lost or replaced; put it back, or type study=fresh "
            "(hydra.sweeper.study=fresh), which moves the folder away and starts a new study"
        )
