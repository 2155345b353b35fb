"""The folder `best/` of a study: links to the files of its best trial."""

import ctypes
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sweeper.files import link_or_copy, reason_of

log = logging.getLogger(__name__)
BEST_FOLDER = "best"
AT_FDCWD = -100  # of Linux's fcntl.h: paths are relative to the working directory
RENAME_EXCHANGE = 2  # of Linux's fs.h


def link_best_folder(
    study_folder: Path, source: Path, configs: Path | None, others: Iterable[Path] = ()
) -> None:
    """Replace `best/` by links to the files in `source`, the folder of the best trial.

    Nothing is done if `source` does not exist, because the trial ran on another host. A folder
    that cannot be replaced is left as it is, with a warning.

    Args:
        study_folder: Folder of the study.
        source: Folder of the trial's files.
        configs: Folder of the files that Hydra wrote for the trial; they are linked at the top
            level of `best/` too. None if it wrote none.
        others: Folders of the other trials, which must not lie in `best/`.
    """
    target = study_folder / BEST_FOLDER
    try:
        if not source.is_dir():
            return
        problem = _problem(target, source, others)
        if problem is None:
            _link(target, source, configs)
    except OSError as error:  # shutil.Error too
        problem = reason_of(error)
    if problem is not None:
        log.warning("%s was not made (%s); the best trial is in %s", target, problem, source)


def remove_best_folder(study_folder: Path) -> None:
    """Remove `best/`, which an earlier command made, if all of its files have another link.

    Otherwise they may be the only copy, so that it stays, with a warning.
    """
    target = study_folder / BEST_FOLDER
    with suppress(OSError):
        files = [path for path in target.rglob("*") if path.is_file() and not path.is_symlink()]
        if files and not target.is_symlink() and all(path.stat().st_nlink > 1 for path in files):
            shutil.rmtree(target, ignore_errors=True)
    if os.path.lexists(target):
        log.warning("%s stays as it is: it may be of an earlier best trial", target)


def replace_folder(new: Path, target: Path) -> None:
    """Move the folder `new` to `target`, and delete the folder that was there.

    Linux exchanges the two in one step, so that there is a whole folder at any time. Elsewhere
    there is none for an instant.

    Raises:
        OSError: a folder cannot be moved.
    """
    if not os.path.lexists(target):
        new.rename(target)
    elif _exchange(new, target):
        _delete(new)
    else:
        old = new.with_name(f"{new.name}.old")
        target.rename(old)
        new.rename(target)
        _delete(old)


def _problem(target: Path, source: Path, others: Iterable[Path]) -> str | None:
    """Return why `best/` cannot be made, or None if it can."""
    best, own = target.parent.resolve() / target.name, source.resolve()
    if any(best in (path, *path.parents) for path in (own, *(o.resolve() for o in others))):
        return "trials have their folders in it"
    if own in best.parents:
        return "the trial has no folder of its own"
    return "it is a file" if target.is_file() else None


def _link(target: Path, source: Path, configs: Path | None) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        # Symbolic links stay links: they may lead to whole data sets, or nowhere.
        shutil.copytree(source, partial, symlinks=True, copy_function=link_or_copy)
        for file in configs.glob("*.yaml") if configs is not None else ():
            link_or_copy(file, partial / file.name)
        replace_folder(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; return False if the system cannot do it."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0)


def _delete(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
