"""The classes of the objects in each image, from annotation files in the format of PASCAL VOC."""

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
"""The 20 classes of PASCAL VOC, in its order."""


@dataclass(frozen=True)
class Annotations:
    """The annotation files of a data set by image id; they are parsed on first access."""

    files: Mapping[str, Path]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: all 20 of VOC, or sorted names if there is any other class.

        So a network that is trained on a part of VOC fits all of it. The classes do not depend on
        a setting: the objects of all splits count, difficult ones included.

        Raises:
            DataError: no image has an object.
        """
        names = {name for objects in self._easy_by_class.values() for name in objects}
        if not names:
            folder = next(iter(self.files.values())).parent
            raise DataError(f"{folder}: no annotation has an object")
        return VOC_CLASSES if names <= set(VOC_CLASSES) else tuple(sorted(names))

    def labels(self, ids: Sequence[str], difficult: bool) -> Indices:
        """Return zeros, and ones for the classes in these images: (N, K) int64.

        Unless `difficult` is true, a class does not count if all its objects are difficult.
        """
        labels = np.zeros((len(ids), len(self.classes)), dtype=np.int64)
        for row, image_id in enumerate(ids):
            for name, has_easy in self._easy_by_class[image_id].items():
                labels[row, self.classes.index(name)] = has_easy or difficult
        return labels

    @cached_property
    def _easy_by_class(self) -> dict[str, dict[str, bool]]:
        """The result of `_parsed` by image id."""
        return {image_id: _parsed(path) for image_id, path in self.files.items()}


def _parsed(path: Path) -> dict[str, bool]:
    """Return the classes in an image, and whether any object of the class is not difficult."""
    # Not with torchvision's parser: it fails on an empty annotation and takes seconds to import.
    try:
        root = ElementTree.parse(path).getroot()
    # ElementTree raises ValueError for an unknown encoding.
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as XML: {error}") from error
    if root.tag != "annotation":
        raise DataError(
            f"{path} is not a VOC annotation: expected <annotation>, found <{root.tag}>"
        )
    easy_by_class: dict[str, bool] = {}
    for element in root.findall("object"):
        name = element.findtext("name", "").strip()
        if not name:
            raise DataError(f"{path} has an object without a name")
        is_easy = element.findtext("difficult", "0").strip() != "1"
        easy_by_class[name] = easy_by_class.get(name, False) or is_easy
    return easy_by_class
