"""Transforms that do what is done for all images, and what else is known of transforms."""

from typing import Any

import pytest
import torch
import torchvision.transforms as v1
from torchvision.transforms import v2

from sweeper.data.recognised import (
    flattened,
    require_new,
    require_new_targets,
    tells_all,
    useful_side,
)
from sweeper.errors import ConfigError

DONE = "this is done already"


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (v1.ToTensor(), rf"^data\.train_transform: remove ToTensor: {DONE}, and .* uint8 tensors$"),
        (v1.PILToTensor(), rf"remove PILToTensor: {DONE}"),
        (v2.ToImage(), rf"remove ToImage: {DONE}"),
        (v2.ToDtype(torch.float32, scale=True), rf"remove ToDtype: {DONE}.*data\.mean and data\.s"),
        (v1.ConvertImageDtype(torch.float32), rf"remove ConvertImageDtype: {DONE}"),
        (
            v2.Normalize([0.5, 0.25, 0.5], [0.2, 0.1, 0.2]),
            rf"remove Normalize: {DONE}.*type data\.mean=\[0\.5,0\.25,0\.5\] data\.std=\[0\.2,0\.1",
        ),
        (v1.Normalize((0.5,), (0.5,)), r"type data\.mean=\[0\.5\] data\.std=\[0\.5\]$"),
        (v2.ToPILImage(), "remove ToPILImage: transforms get images as uint8 tensors"),
        (v2.Compose([v2.RandomApply([v2.Normalize([0.5], [0.5])])]), "remove Normalize"),
    ],
)
def test_what_is_done_already_is_one_line(transform: Any, message: str, refuses: Any) -> None:
    with refuses(ConfigError, message):
        require_new([v2.RandomHorizontalFlip(), transform], "data.train_transform")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ([{"_target_": "torchvision.transforms.v2.ToDtype", "scale": True}], "remove ToDtype"),
        ([{"_target_": "torchvision.transforms.ToTensor"}], "remove ToTensor"),
        (
            [{"_target_": "torchvision.transforms.v2.Normalize", "mean": [0.5], "std": [0.25]}],
            r"data\.mean=\[0\.5\] data\.std=\[0\.25\]",
        ),
        ([{"_target_": "torchvision.transforms.Normalize", "_args_": [[0.5], [0.5]]}], "Normalize"),
        (
            {
                "_target_": "torchvision.transforms.v2.Compose",
                "transforms": [{"_target_": "torchvision.transforms.v2.ToImage"}],
            },
            "remove ToImage",
        ),
    ],
)
def test_targets_are_refused_before_they_are_called(node: Any, message: str, refuses: Any) -> None:
    with refuses(ConfigError, message):
        require_new_targets(node, "data.eval_transform")


def test_others_are_accepted() -> None:
    class Normalize:
        pass

    others = [Normalize(), v2.RandomCrop(3), v2.Compose([v2.CenterCrop(3)]), len]
    require_new(others, "data.train_transform")
    require_new_targets([{"_target_": "mine.Normalize"}, None, 3], "data.train_transform")


def test_compose_is_replaced_by_its_transforms() -> None:
    crop, flip, pad = v2.CenterCrop(3), v1.RandomHorizontalFlip(), v2.Pad(1)
    assert list(flattened([v2.Compose([crop, v1.Compose([flip])]), pad])) == [crop, flip, pad]


@pytest.mark.parametrize(
    ("transforms", "side"),
    [
        ([v2.Resize(256), v2.CenterCrop(224)], 512),
        ([v1.Resize([20, 30])], 60),
        ([v2.Resize(256, max_size=300)], None),
        ([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(224)], 915),
        ([v2.RandomResizedCrop(10, scale=(0, 1))], None),
        ([v2.RandomCrop(224)], None),
        ([v2.RandomRotation(5), v2.Resize(20)], None),
        ([len], None),
        ([], None),
    ],
)
def test_the_side_that_transforms_can_use(transforms: Any, side: int | None) -> None:
    assert useful_side(transforms) == side


@pytest.mark.parametrize(
    ("transform", "does"),
    [
        (v2.Resize((20, 30)), True),
        (v1.Resize(20), True),
        (v2.CenterCrop(3), True),
        (v2.Pad(1, fill=[0, 1, 2]), True),
        (v2.Pad(1, fill={torch.Tensor: 3}), False),
        (v2.LinearTransformation(torch.eye(3), torch.zeros(3)), False),
        (v2.Lambda(abs), False),
        (v1.Lambda(abs), False),
        (v2.RandomApply([v2.Lambda(abs)]), False),
        (v1.RandomApply(torch.nn.ModuleList([v2.CenterCrop(3)])), False),
        (torch.nn.Identity(), False),
        (abs, False),
    ],
)
def test_the_text_of_a_transform_tells_all_if_it_holds_nothing_but_values(
    transform: Any, does: bool
) -> None:
    assert tells_all(transform) is does
