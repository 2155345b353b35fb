"""What is told of a data set beforehand is what preparing it comes to."""

from pathlib import Path
from typing import Any

import pytest
from torchvision.transforms import v2

from sweeper.data.describe import Description, describe
from sweeper.data.digits import Digits
from sweeper.data.image_folder import ImageFolder
from sweeper.data.torchvision_sets import LAYOUTS, TorchvisionSet
from sweeper.errors import ConfigError, DataError

PLAIN: dict[str, Any] = {
    "image_size": None,
    "min_image_size": 1,
    "train_transform": [],
    "eval_transform": [],
}
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


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_shape_told_is_that_of_the_batches(settings: Any, prepared: Any, source: Any) -> None:
    told = describe(source, **PLAIN | settings)
    data = prepared(source, **settings)
    assert told == Description(next(data.val())[0].shape[1:], len(data.profile.classes))


def test_digits_are_as_told(prepared: Any) -> None:
    data = prepared(Digits())
    assert describe(Digits(), **PLAIN) == Description(
        data.profile.input_shape, len(data.profile.classes)
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_of_torchvision_need_not_be_there(name: Any) -> None:
    shape = (1, 28, 28) if "mnist" in name else (3, 32, 32)
    classes = 100 if name == "cifar100" else 10
    absent = TorchvisionSet(name, "/nowhere", download=True)
    assert describe(absent, **PLAIN) == Description(shape, classes)


@pytest.mark.parametrize("below", ["", "train/"])
def test_folders_are_counted_and_images_not_looked_at(tmp_path: Path, below: str) -> None:
    for name in ("oak", "elm", "ash"):
        (tmp_path / below / name).mkdir(parents=True)
    told = describe(ImageFolder(str(tmp_path), "gray", 0.1), **PLAIN | {"image_size": 40})
    assert told == Description((1, 40, 40), 3)


def test_a_folder_that_is_not_there_is_needed() -> None:
    with pytest.raises(DataError, match=r"data\.root=/nowhere is not .* type data\.root=FOLDER"):
        describe(ImageFolder("/nowhere", "rgb", 0.1), **PLAIN | {"image_size": 40})


def test_a_source_that_cannot_tell_is_read_and_one_that_can_is_not(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describe(source, **PLAIN) == Description((3, 8, 8), 3)
    assert source.decoded == 1
    told = Description((1, 4, 4), 2)
    monkeypatch.setattr(type(source), "describe", lambda *_: told, raising=False)
    assert describe(source, **PLAIN) == told
    assert source.decoded == 1


def test_transforms_must_agree_as_in_training(source: Any) -> None:
    with pytest.raises(ConfigError, match=r"shape \(3, 6, 6\) .* \(3, 8, 8\)"):
        describe(source, **PLAIN | {"train_transform": [v2.RandomCrop(6)]})
