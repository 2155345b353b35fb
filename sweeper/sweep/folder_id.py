"""The identifier of a study's folder; hosts that share no file system have a folder each."""

import uuid
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeper.files import replacing
from sweeper.sweep.lease import Lease

FOLDER_ID_FILE = ".folder"


def folder_id(folder: Path) -> str:
    """Return the identifier of a study's folder, and write it there if there is none.

    Whoever calls this holds the lock of the folder's claims.
    """
    path = folder / FOLDER_ID_FILE
    if not path.is_file():
        with replacing(path) as partial:
            partial.write_text(uuid.uuid4().hex)
    return path.read_text()


def has_files_of(trial: FrozenTrial, study_folder: Path, subdir: str) -> bool:
    """Return whether a study's folder has the files of a trial's last attempt.

    subdir: folder of the trial below that of the study. Another host may have promoted the trial;
        then this folder has the files of an earlier attempt only.
    """
    lease, exists = Lease.read(trial.system_attrs), (study_folder / subdir).is_dir()
    path = study_folder / FOLDER_ID_FILE
    if lease is None or not lease.folder or not path.is_file():  # of an earlier version
        return exists
    return exists and lease.folder == path.read_text()
