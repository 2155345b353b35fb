"""Which classes are in a picture, read off annotation files as PASCAL VOC writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sweeper.data.source import Indices
from sweeper.errors import DataError

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The twenty, in the order of PASCAL VOC."""


@dataclass(frozen=True)
class Annotations:
    """The annotation files of a data set by the ids of their pictures, read when first asked."""

    files: Mapping[str, Path]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The twenty of VOC if there are no others, else those there are, in order of their names.

        So a part of VOC has the classes of all of it, and a network trained on the one fits the
        other. Every list counts, and every object, difficult or not: which classes there are
        depends on no setting. DataError when no picture has an object.
        """
        found = {name for objects in self._objects.values() for name in objects}
        if not found:
            folder = next(iter(self.files.values())).parent
            raise DataError(f"{folder}: there is no object in any annotation")
        return VOC_CLASSES if found <= set(VOC_CLASSES) else tuple(sorted(found))

    def labels(self, ids: Sequence[str], difficult: bool) -> Indices:
        """Return ones for the classes that are in these pictures: (N, K) int64.

        Unless `difficult`, a class with nothing but difficult objects in a picture is not there.
        """
        labels = np.zeros((len(ids), len(self.classes)), dtype=np.int64)
        for row, name in enumerate(ids):
            for found, easy in self._objects[name].items():
                labels[row, self.classes.index(found)] = easy or difficult
        return labels

    @cached_property
    def _objects(self) -> dict[str, dict[str, bool]]:
        """By id the classes in the picture, and whether any object of the class is not difficult.

        torchvision's parser fails on an annotation with nothing in it, and it would have to be
        imported at every start that streams the image files.
        """
        return {name: _classes_in(path) for name, path in self.files.items()}


def _classes_in(path: Path) -> dict[str, bool]:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:  # such as an unknown encoding
        raise DataError(f"{path} cannot be read as XML: {error}") from error
    if root.tag != "annotation":
        raise DataError(f"{path} is no VOC annotation: expected <annotation>, found <{root.tag}>")
    found: dict[str, bool] = {}
    for each in root.findall("object"):
        name = each.findtext("name", "").strip()
        if not name:
            raise DataError(f"{path} has an object without a name")
        easy = each.findtext("difficult", "0").strip() != "1"
        found[name] = found.get(name, False) or easy
    return found
