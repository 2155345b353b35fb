"""The description of a data set agrees with the prepared data set."""

from pathlib import Path
from typing import Any

import pytest
from torchvision.transforms import v2

from sweeper.data.describe import Description, describe
from sweeper.data.digits import Digits
from sweeper.data.file_source import DataSet
from sweeper.data.image_folder import ImageFolder
from sweeper.data.inputs import Inputs
from sweeper.data.torchvision_sets import LAYOUTS, TorchvisionSet
from sweeper.errors import ConfigError, DataError

CROPPED = {name: [v2.CenterCrop(6)] for name in ("train_transform", "eval_transform")}
GREY = {name: [v2.Grayscale()] for name in ("train_transform", "eval_transform")}
SETTINGS = [
    {},
    {"image_size": 5},
    {"image_size": 20, "min_image_size": 6},
    {"image_size": 5, "min_image_size": 6},
    {"min_image_size": 13},
    CROPPED,
    CROPPED | {"min_image_size": 7},
    GREY,
]


def described(source: DataSet, **settings: Any) -> Description:
    """Describe a source with some settings, and the others of a plain data set."""
    plain: dict[str, Any] = {"image_size": None, "resize": "squash", "background": "white"}
    plain |= {"train_transform": [], "eval_transform": [], "min_image_size": 1}
    return describe(source, Inputs.of(source.name, **plain | settings))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_described_shape_is_that_of_the_batches(
    settings: Any, prepared: Any, source: Any
) -> None:
    description = described(source, **settings)
    data = prepared(source, **settings)
    assert description == Description(next(data.val())[0].shape[1:], len(data.profile.classes))


def test_the_description_of_digits_is_correct(prepared: Any) -> None:
    data = prepared(Digits())
    assert described(Digits()) == Description(data.profile.input_shape, len(data.profile.classes))


def test_a_set_without_training_images_cannot_be_described(source: Any, refuses: Any) -> None:
    test = source.splits(None)["test"]
    source.splits = lambda image_size: {"test": test}
    with refuses(DataError, "^data=arrays: there is no split train"):
        described(source)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_of_torchvision_is_described_without_its_files(name: Any) -> None:
    shape = (1, 28, 28) if "mnist" in name else (3, 32, 32)
    classes = 100 if name == "cifar100" else 10
    source = TorchvisionSet(name, "/nowhere", download=True)
    assert described(source) == Description(shape, classes)


@pytest.mark.parametrize("below", ["", "train/"])
def test_class_folders_are_counted_without_opening_images(tmp_path: Path, below: str) -> None:
    for name in ("oak", "elm", "ash"):
        (tmp_path / below / name).mkdir(parents=True)
    description = described(ImageFolder(str(tmp_path), "gray", 0.1), image_size=40)
    assert description == Description((1, 40, 40), 3)


def test_a_missing_image_folder_is_an_error() -> None:
    with pytest.raises(DataError, match=r"data\.root=/nowhere is not .* type data\.root=FOLDER"):
        described(ImageFolder("/nowhere", "rgb", 0.1), image_size=40)


def test_only_a_source_without_describe_is_read(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert described(source) == Description((3, 8, 8), 3)
    assert source.decoded == 1
    description = Description((1, 4, 4), 2)
    monkeypatch.setattr(type(source), "describe", lambda *_: description, raising=False)
    assert described(source) == description
    assert source.decoded == 1


def test_transforms_must_end_in_one_shape(source: Any) -> None:
    with pytest.raises(ConfigError, match=r"shape \(3, 6, 6\) .* \(3, 8, 8\)"):
        described(source, train_transform=[v2.RandomCrop(6)])
