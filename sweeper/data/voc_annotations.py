"""The objects in each image and their classes, from annotation files as those of PASCAL VOC."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
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

SIDES = ("xmin", "ymin", "xmax", "ymax")
"""The tags of the left, top, right and bottom side of a box."""


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


@dataclass(frozen=True)
class Box:
    """An object in an image; left, top, right and bottom are in pixels of the image as shown.

    As in VOC, the upper left pixel of an image has the coordinates (1, 1).
    """

    name: str
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool


@dataclass(frozen=True)
class BoxedImage:
    """An image file, its name and the boxes of its objects."""

    name: str
    path: Path
    boxes: Sequence[Box]


@runtime_checkable
class Annotated(Protocol):
    """A source whose images have boxes."""

    def boxed_images(self) -> Iterator[BoxedImage]:
        """Yield the training images with their boxes; nothing if the data is not there."""


def read_annotation(path: Path) -> dict[str, Any]:
    """Return an annotation file as a dict, in the form of torchvision's `VOCDetection`.

    The dict is {"annotation": {...}}. A value is a text, a dict, or a list if its tag is repeated;
    "object" is always a list. No external entity is read, and no depth of the file is too much.

    Raises:
        DataError: the file cannot be read, or is not an annotation.
    """
    root = _root(path)
    parsed: dict[ElementTree.Element, dict[str, Any]] = {}
    for element in reversed(list(root.iter())):  # the children of an element come after it
        parsed[element] = _as_dict(element, [parsed.pop(child) for child in element])
    return parsed[root] if len(root) else {root.tag: {"object": []}}


def boxes_of(annotation: Mapping[str, Any], path: Path) -> list[Box]:
    """Return the objects that have a box, from the result of `read_annotation`.

    Raises:
        DataError: an object has no name, or a box whose sides are no numbers.
    """
    objects = [each for each in annotation["annotation"]["object"] if isinstance(each, Mapping)]
    return [_box(each, path) for each in objects if "bndbox" in each]


def _box(values: Mapping[str, Any], path: Path) -> Box:
    name = values.get("name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{path} has an object without a name")
    try:
        left, top, right, bottom = (float(values["bndbox"][side]) for side in SIDES)
        if not all(map(math.isfinite, (left, top, right, bottom))):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        needed = ", ".join(SIDES)
        raise DataError(f"{path}: the box of {name} needs the numbers {needed}") from error
    return Box(name, left, top, right, bottom, values.get("difficult") == "1")


def _as_dict(element: ElementTree.Element, children: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return an element as a dict with one key, its tag; an empty element gives an empty dict."""
    if not children:
        return {element.tag: element.text.strip()} if element.text else {}
    values: dict[str, list[Any]] = {}
    for child in children:
        for tag, value in child.items():
            values.setdefault(tag, []).append(value)
    if element.tag == "annotation":
        values["object"] = [values.get("object", [])]
    return {element.tag: {tag: v[0] if len(v) == 1 else v for tag, v in values.items()}}


def _root(path: Path) -> ElementTree.Element:
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
    return root


def _parsed(path: Path) -> dict[str, bool]:
    """Return the classes in an image, and whether any object of the class is not difficult."""
    easy_by_class: dict[str, bool] = {}
    for element in _root(path).findall("object"):
        name = element.findtext("name", "").strip()
        if not name:
            raise DataError(f"{path} has an object without a name")
        is_easy = element.findtext("difficult", "0").strip() != "1"
        easy_by_class[name] = easy_by_class.get(name, False) or is_easy
    return easy_by_class
