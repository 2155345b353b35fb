"""What the journal of a study holds."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial


def trials_in(path: Path, study: str = "s") -> list[FrozenTrial]:
    """Return the trials of a study; none if the journal does not have the study yet."""
    if not path.exists():  # the backend would create it
        return []
    journal = JournalStorage(JournalFileBackend(str(path)))
    if study not in {each.study_name for each in journal.get_all_studies()}:
        return []
    return optuna.load_study(study_name=study, storage=journal).trials
