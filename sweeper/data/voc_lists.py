"""The folder of one year of PASCAL VOC: lists of ids, and the files that the ids stand for."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sweeper.data.image_files import SUFFIXES
from sweeper.data.split import FIXED, hold_out
from sweeper.errors import DataError

Ids = tuple[str, ...]


def listed(folder: Path, test_fraction: float) -> dict[str, Ids]:
    """Return the ids of `train`, and of `val` and `test` where there are any.

    Without a test list, a part of `train` is the test split, the same for every seed.

    Raises:
        DataError: the training list is missing, a list is empty, or an id is listed twice.
    """
    lists = folder / "ImageSets/Main"
    found = {name: lists / f"{name}.txt" for name in ("train", "val", "test")}
    ids = {name: _ids(path) for name, path in found.items() if name == "train" or path.exists()}
    _require_apart({found[name]: each for name, each in ids.items()})
    if "test" not in ids and test_fraction > 0:
        ids["train"], ids["test"] = _divided(ids["train"], test_fraction)
    return ids


def pictures(folder: Path, ids: Iterable[str]) -> tuple[Path, ...]:
    """Return the image file of each id; DataError, naming the file, when there is none."""
    return _files(folder, SUFFIXES, ids, ".jpg")


def annotations(folder: Path, ids: Iterable[str]) -> tuple[Path, ...]:
    """Return the annotation of each id; DataError, naming the file, when there is none."""
    return _files(folder, {".xml"}, ids, ".xml")


def _ids(path: Path) -> Ids:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no list of ids: it is not written in UTF-8") from error
    ids = tuple(line.strip() for line in lines if line.strip())
    if not ids:
        raise DataError(f"{path} lists no image: add some, or remove the list")
    return ids


def _require_apart(lists: dict[Path, Ids]) -> None:
    """Refuse an image in two splits, which would be tested on what it was trained on."""
    seen: dict[str, Path] = {}
    for path, ids in lists.items():
        for one in ids:
            if one in seen:
                raise DataError(f"{path} lists {one}, which {seen[one]} lists already")
            seen[one] = path


def _divided(ids: Ids, fraction: float) -> tuple[Ids, Ids]:
    count = max(1, round(len(ids) * fraction))
    kept, held = hold_out(np.zeros(len(ids), dtype=np.int64), count, FIXED)
    if not len(held):
        raise DataError("a single image cannot be held out for testing: type data.test_fraction=0")
    return tuple(ids[i] for i in kept), tuple(ids[i] for i in held)


def _files(folder: Path, suffixes: set[str], ids: Iterable[str], usual: str) -> tuple[Path, ...]:
    try:
        found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    there: dict[str, Path] = {}
    for path in found:
        if path.stem in there:
            raise DataError(f"{there[path.stem]} and {path.name} have the same name: remove one")
        there[path.stem] = path
    for one in ids:
        if one not in there:
            raise DataError(f"{folder / one}{usual} is missing, and a list in ImageSets names it")
    return tuple(there[one] for one in ids)
