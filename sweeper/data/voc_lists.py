"""The lists of image ids of one year of PASCAL VOC, and the files with these ids."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sweeper.data.image_files import SUFFIXES
from sweeper.data.split import FIXED_SEED, hold_out
from sweeper.errors import DataError

Ids = tuple[str, ...]


def ids_by_split(folder: Path, test_fraction: float) -> dict[str, Ids]:
    """Return the ids of `train`, and of `val` and `test` if they are listed.

    Without a test list, a part of `train` is the test split, the same for every seed.

    Raises:
        DataError: a list is missing or empty, an id is listed twice, or no image can be held out.
    """
    paths = {name: folder / f"ImageSets/Main/{name}.txt" for name in ("train", "val", "test")}
    ids = {name: _ids(path) for name, path in paths.items() if name == "train" or path.exists()}
    _check_disjoint({paths[name]: split_ids for name, split_ids in ids.items()})
    if "test" not in ids and test_fraction > 0:
        ids["train"], ids["test"] = _hold_out(ids["train"], test_fraction)
    return ids


def image_files(folder: Path, ids: Iterable[str]) -> tuple[Path, ...]:
    """Return the image file of each id.

    Raises:
        DataError: a file is missing, or two files have the same id.
    """
    return _files(folder, SUFFIXES, ids, ".jpg")


def annotation_files(folder: Path, ids: Iterable[str]) -> tuple[Path, ...]:
    """Return the annotation file of each id.

    Raises:
        DataError: a file is missing, or two files have the same id.
    """
    return _files(folder, {".xml"}, ids, ".xml")


def _ids(path: Path) -> Ids:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a list of ids: it is not encoded in UTF-8") from error
    ids = tuple(line.strip() for line in lines if line.strip())
    if not ids:
        raise DataError(f"{path} lists no image; add some, or remove the list")
    return ids


def _check_disjoint(ids_by_path: dict[Path, Ids]) -> None:
    """Raise DataError if an image is listed twice, such as for training and for testing."""
    path_by_id: dict[str, Path] = {}
    for path, ids in ids_by_path.items():
        for image_id in ids:
            if image_id in path_by_id:
                raise DataError(
                    f"{path} lists {image_id}, which {path_by_id[image_id]} lists already"
                )
            path_by_id[image_id] = path


def _hold_out(ids: Ids, fraction: float) -> tuple[Ids, Ids]:
    """Divide the ids into (remaining, held out)."""
    count = max(1, round(len(ids) * fraction))
    remaining, held_out = hold_out(np.zeros(len(ids), dtype=np.int64), count, FIXED_SEED)
    if not len(held_out):
        raise DataError("a single image cannot be held out for testing; type data.test_fraction=0")
    return tuple(ids[i] for i in remaining), tuple(ids[i] for i in held_out)


def _files(folder: Path, suffixes: set[str], ids: Iterable[str], default: str) -> tuple[Path, ...]:
    """Return the file of each id; `default` is the suffix that an error names."""
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    path_by_id: dict[str, Path] = {}
    for path in paths:
        if (other := path_by_id.get(path.stem)) is not None:
            raise DataError(f"{other} and {path.name} have the same name; remove one of them")
        path_by_id[path.stem] = path
    for image_id in ids:
        if image_id not in path_by_id:
            raise DataError(
                f"{folder / image_id}{default} is missing, but a list in ImageSets names it"
            )
    return tuple(path_by_id[image_id] for image_id in ids)
