from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from sweeper.data import per_sample
from sweeper.data.augment import augment, batched, erasing_boxes
from sweeper.data.sizing import transformed

N = 32


def batch(n: int = N, shape: tuple[int, int, int] = (3, 9, 12)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator)


def row_and_column(n: int = N) -> Tensor:
    """Return images whose two channels are the row and the column of each pixel."""
    y, x = torch.meshgrid(torch.arange(9), torch.arange(12), indexing="ij")
    return torch.stack([y, x]).to(torch.uint8).repeat(n, 1, 1, 1)


RANDOM = [
    v2.RandomHorizontalFlip(),
    v2.RandomVerticalFlip(),
    v2.RandomGrayscale(p=0.5),
    v2.RandomCrop(6),
    v2.RandomCrop((9, 12), padding=3, padding_mode="reflect"),
    v2.RandomRotation(40),
    v2.RandomRotation(40, expand=False, interpolation=v2.InterpolationMode.BILINEAR),
    v2.RandomErasing(p=0.7),
    v2.RandomResizedCrop(6, antialias=True),
    v2.ColorJitter(brightness=0.9),
    v2.RandomApply([v2.RandomHorizontalFlip(p=1.0)], p=0.5),
    v2.Compose([v2.RandomCrop(6), v2.RandomHorizontalFlip()]),
]


@pytest.mark.parametrize("transform", RANDOM, ids=str)
def test_every_image_gets_its_own_random_parameters(transform: Any) -> None:
    torch.manual_seed(0)
    same = batch(1).repeat(N, 1, 1, 1)
    augmented = batched(transform)(same)
    assert augmented.dtype == torch.uint8
    assert len(augmented.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("transform", RANDOM, ids=str)
def test_the_result_depends_on_the_global_seed(transform: Any) -> None:
    torch.manual_seed(5)
    first = batched(transform)(batch())
    torch.manual_seed(5)
    assert torch.equal(first, batched(transform)(batch()))


@pytest.mark.parametrize(
    ("transform", "functional"),
    [
        (v2.RandomHorizontalFlip, TF.horizontal_flip),
        (v2.RandomVerticalFlip, TF.vertical_flip),
        (v2.RandomGrayscale, lambda image: TF.rgb_to_grayscale(image, num_output_channels=3)),
    ],
)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_transform_is_applied_with_probability_p(
    transform: Any, functional: Any, p: float
) -> None:
    torch.manual_seed(0)
    images = batch(400)
    augmented = augment(transform(p=p), images)
    changed = torch.tensor(
        [torch.equal(a, functional(b)) for a, b in zip(augmented, images, strict=True)]
    )
    unchanged = torch.tensor([torch.equal(a, b) for a, b in zip(augmented, images, strict=True)])
    assert torch.all(changed ^ unchanged)
    assert changed.float().mean().item() == pytest.approx(p, abs=0.08)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [2, (1, 3), (1, 2, 3, 4)])
def test_every_crop_is_a_window_of_the_padded_image(mode: str, padding: Any) -> None:
    transform = v2.RandomCrop((7, 8), padding=padding, fill=99, padding_mode=mode)
    pad = [padding] if isinstance(padding, int) else list(padding)
    torch.manual_seed(0)
    images = batch()
    padded = TF.pad(images, pad, fill=99, padding_mode=mode)
    torch.manual_seed(0)
    for image, crop in zip(padded, augment(transform, images), strict=True):
        windows = image.unfold(1, 7, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4)
        assert (windows == crop).flatten(2).all(dim=2).any()


def test_crops_start_at_every_possible_corner() -> None:
    torch.manual_seed(0)
    crops = augment(v2.RandomCrop((7, 8)), row_and_column(400))
    assert crops[:, 0, 0, 0].unique().tolist() == [0, 1, 2]
    assert crops[:, 1, 0, 0].unique().tolist() == [0, 1, 2, 3, 4]


def test_a_crop_pads_only_if_needed() -> None:
    crops = augment(v2.RandomCrop((11, 8), pad_if_needed=True, fill=7), batch())
    assert crops.shape == (N, 3, 11, 8)
    assert (crops == 7).all(dim=(1, 3)).any()


def test_crops_equal_torchvisions_at_the_same_corners() -> None:
    images, top, left = batch(), torch.arange(N) % 4, torch.arange(N) % 5
    ours = per_sample.crop(images, top, left, (5, 7))
    theirs = [TF.crop(x, int(t), int(c), 5, 7) for x, t, c in zip(images, top, left, strict=True)]
    assert torch.equal(ours, torch.stack(theirs))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("center", [None, [2.0, 7.0]])
@pytest.mark.parametrize("fill", [[0.0], [200.0, 10.0, 90.0]])
def test_rotations_equal_torchvisions_at_the_same_angles(
    mode: str, center: list[float] | None, fill: list[float]
) -> None:
    images, angles = batch(), torch.linspace(-171.3, 169.1, N)
    ours = per_sample.rotate(images, angles, mode=mode, center=center, fill=fill)
    theirs = torch.stack(
        [
            TF.rotate(
                x, a, interpolation=v2.InterpolationMode(mode), center=center, fill=fill or None
            )
            for x, a in zip(images, angles.tolist(), strict=True)
        ]
    )
    difference = (ours.int() - theirs.int()).abs()
    if mode == "bilinear":
        assert difference.max() <= 1
    else:  # a source position between two pixels may be rounded to either
        assert (difference > 0).float().mean() < 0.002


def test_rotations_stay_within_the_degrees() -> None:
    torch.manual_seed(0)
    still = augment(v2.RandomRotation((90, 90)), batch(4, (3, 9, 9)))
    assert torch.equal(still, torch.rot90(batch(4, (3, 9, 9)), 1, (-2, -1)))


@pytest.mark.parametrize("value", [0, 77, [1, 2, 3]])
def test_erasing_equals_torchvisions_on_the_same_boxes(value: Any) -> None:
    transform = v2.RandomErasing(p=1.0, value=value)
    images = batch()
    torch.manual_seed(3)
    box, fits = erasing_boxes(transform, images)
    torch.manual_seed(3)
    erased = augment(transform, images)
    fill = torch.tensor(transform.value).view(-1, 1, 1).to(torch.uint8)
    for i in range(N):
        top, left, height, width = (int(side[i]) for side in box)
        theirs = TF.erase(images[i], top, left, height, width, fill) if fits[i] else images[i]
        assert torch.equal(erased[i], theirs)


def test_erased_boxes_lie_inside_and_have_the_configured_area_and_ratio() -> None:
    torch.manual_seed(0)
    transform = v2.RandomErasing(scale=(0.1, 0.3), ratio=(0.5, 2.0))
    (top, left, height, width), fits = erasing_boxes(transform, batch(300, (3, 64, 64)))
    area, ratio = height * width / 64**2, height / width
    assert fits.all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 64).all()
    assert (left + width <= 64).all()
    assert 0.09 < area.min() < 0.13
    assert 0.27 < area.max() < 0.31
    assert 0.47 < ratio.min() < 0.6
    assert 1.7 < ratio.max() < 2.1


def test_erasing_with_noise_varies_within_a_box() -> None:
    torch.manual_seed(0)
    white = torch.full((4, 1, 20, 20), 255, dtype=torch.uint8)
    noisy = augment(v2.RandomErasing(p=1.0, value="random"), white)
    assert len(noisy.unique()) > 20


@pytest.mark.parametrize(
    "transform",
    [
        v2.Resize((5, 6), antialias=True),
        v2.CenterCrop(6),
        v2.Pad(2, fill=3, padding_mode="constant"),
        v2.Grayscale(),
        v2.ToDtype(torch.float32, scale=True),
    ],
    ids=str,
)
def test_a_deterministic_transform_of_a_batch_equals_that_of_each_image(transform: Any) -> None:
    images = batch()
    assert torch.equal(augment(transform, images), torch.stack([transform(x) for x in images]))


def test_a_custom_function_is_called_image_by_image() -> None:
    shapes = []

    def invert(image: Tensor) -> Tensor:
        shapes.append(tuple(image.shape))
        return 255 - image

    assert np.array_equal(augment(invert, batch(3)), 255 - batch(3))
    assert shapes == [(3, 9, 12)] * 3


class Inverting(v2.RandomHorizontalFlip):
    """A transform of one's own with the constructor of a known one."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return 255 - inpt


def test_a_subclass_of_a_vectorised_transform_is_itself() -> None:
    assert torch.equal(augment(Inverting(p=1.0), batch()), 255 - batch())
    photos = list(batch(2))
    assert torch.equal(torch.stack(transformed(Inverting(p=1.0), photos)), 255 - batch(2))
