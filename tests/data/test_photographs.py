"""Photographs that transforms see as they are: sizes, random parameters, cache and streaming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms as v1
from PIL import ExifTags, Image
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from sweeper.data import photo_cache
from sweeper.data.crop_boxes import random_boxes
from sweeper.data.describe import describe
from sweeper.data.image_data import ImageData
from sweeper.data.image_folder import ImageFolder
from sweeper.data.inputs import Inputs
from sweeper.data.sizing import n_sizing, transformed
from sweeper.errors import ConfigError, DataError

STATISTICS = {"mean": [0.0] * 3, "std": [1.0] * 3}
RANDOM = {
    "train_transform": [v2.RandomResizedCrop(12), v2.RandomHorizontalFlip()],
    "eval_transform": [v2.Resize(14), v2.CenterCrop(12)],
}


def folder(root: Path) -> ImageFolder:
    return ImageFolder(str(root), "rgb", 0.2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write 40 photographs of two classes, each of another size, some of them sideways."""
    rng = np.random.default_rng(0)
    for i in range(40):
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        size = (30 + i, 50 - i // 2) if i % 3 else (52, 31 + i)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6 if i % 4 == 0 else 1
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize(size, Image.Resampling.BICUBIC).save(path, exif=exif)
    return tmp_path / "photos"


def levels(data: ImageData, split: str = "test") -> Tensor:
    return torch.cat([(images * 255).round() for images, _ in getattr(data, split)()])


def epochs(data: ImageData, seed: int = 4) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(seed)
    return [*data.train(0), *data.train(1), *data.val(), *data.test(), (torch.rand(1),) * 2]


def equal(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)


def test_evaluation_equals_torchvisions_transforms_of_the_whole_photograph(
    photos: Path, prepared: Any
) -> None:
    data = prepared(folder(photos), **RANDOM, **STATISTICS)
    split = folder(photos).files()["test"]
    steps = v2.Compose([v2.PILToTensor(), *RANDOM["eval_transform"]])
    for image, index in zip(levels(data), data.subsets["test"].indices.tolist(), strict=True):
        path = split.paths[index]
        picture = Image.open(path)
        upright = (
            picture.transpose(Image.Transpose.ROTATE_270) if int(path.stem) % 4 == 0 else picture
        )
        assert torch.equal(image, steps(upright).float())


@pytest.mark.parametrize(
    "settings",
    [
        RANDOM,
        {"train_transform": [v2.RandomCrop(12), v2.ColorJitter(0.4)], "image_size": 12},
        {"train_transform": [v2.RandomRotation(20), v2.RandomResizedCrop(12)], "image_size": 12},
        {
            "train_transform": [v1.RandomHorizontalFlip(), v1.RandomResizedCrop(12)],
            "image_size": 12,
        },
        {"train_transform": [v2.Compose(RANDOM["train_transform"])], "image_size": 12},
        {"train_transform": [lambda image: TF.center_crop(image, [12, 12])], "image_size": 12},
    ],
    ids=range(6),
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_cached_and_streamed_batches_are_the_same_with_any_number_of_threads(
    photos: Path, prepared: Any, settings: dict[str, Any], num_workers: int
) -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for resident, threads in ((True, 1), (True, 3), (False, 2)):
            torch.set_num_threads(threads)
            options = {"resident": resident, "num_workers": num_workers}
            results.append(epochs(prepared(folder(photos), **options, **settings)))
    finally:
        torch.set_num_threads(before)
    assert equal(results[0], results[1])
    assert equal(results[0], results[2])


def test_the_crops_of_an_epoch_follow_from_the_seed(photos: Path, prepared: Any) -> None:
    data = prepared(folder(photos), **RANDOM)
    assert equal(epochs(data, 4), epochs(data, 4))
    assert not torch.equal(epochs(data, 4)[0][0], epochs(data, 5)[0][0])


def test_the_cache_is_read_again_and_statistics_too(
    photos: Path, prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(folder(photos), **RANDOM)
    batches = epochs(first)

    def fail(*_: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("sweeper.data.image_files.FilePhotographs.decode", fail)
    monkeypatch.setattr("sweeper.data.image_files.FilePhotographs.sizes", property(fail))
    second = prepared(folder(photos), **RANDOM)
    assert equal(batches, epochs(second))
    assert (first.digest, first.profile) == (second.digest, second.profile)


class Gamma(nn.Module):
    """A transform whose text says nothing of its argument."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self._gamma = gamma

    def forward(self, image: Tensor) -> Tensor:
        return (255 * (image / 255) ** self._gamma).to(torch.uint8)


@pytest.mark.parametrize(
    "own",
    [
        Gamma,
        lambda gamma: v2.Lambda(Gamma(gamma).forward),
        lambda gamma: v2.RandomApply([Gamma(gamma)], p=1.0),
    ],
    ids=["module", "function", "inner"],
)
def test_statistics_are_measured_again_for_another_argument_of_a_transform_of_ones_own(
    photos: Path, prepared: Any, own: Any
) -> None:
    profiles = []
    for gamma in (1.0, 3.0):
        settings = RANDOM | {"eval_transform": [*RANDOM["eval_transform"], own(gamma)]}
        profiles.append(prepared(folder(photos), **settings).profile)
    assert profiles[0].mean[0] > profiles[1].mean[0] + 0.1


@pytest.mark.parametrize("limit", [1e-9, 1.0])
def test_auto_streams_what_is_larger_than_the_limit(
    photos: Path, prepared: Any, limit: float
) -> None:
    data = prepared(folder(photos), resident_limit_gib=limit, **RANDOM)
    kind = type(data.subsets["train"].feed).__name__
    assert kind == ("Streaming" if limit < 1 else "ResidentPhotographs")
    cached = prepared(folder(photos), resident_limit_gib=1.0, **RANDOM)
    assert equal(epochs(data), epochs(cached))
    again = prepared(folder(photos), resident_limit_gib=1e-9, **RANDOM)
    assert type(again.subsets["train"].feed).__name__ == "Streaming"


@pytest.mark.parametrize("file", ["pixels.bin", "index.npy", "labels.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_cache_is_rebuilt(
    photos: Path, prepared: Any, tmp_path: Path, file: str, damage: str
) -> None:
    batches = epochs(prepared(folder(photos), **RANDOM, **STATISTICS))
    path = next((tmp_path / "cache").glob("image_folder-train-*")) / file
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) * 2 // 3
        rest = b"" if damage == "truncate" else bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] + rest)
    assert equal(batches, epochs(prepared(folder(photos), **RANDOM, **STATISTICS)))
    assert path.read_bytes() == content or file == "meta.json"


@pytest.mark.parametrize(
    "index", [[[2**62, 2**62, 0]], [[-1, -1, 0]], [[1, 1, 0]] * 2, [[0, 5, 0]]]
)
def test_a_forged_index_is_refused(tmp_path: Path, index: list[list[int]]) -> None:
    photo_cache.write_array(tmp_path / "index.npy", np.array(index))
    (tmp_path / "pixels.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match="do not belong together"):
        photo_cache.read(tmp_path, 3, verify=True)


def test_a_full_disk_leaves_photographs_in_memory(
    photos: Path, prepared: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = prepared(folder(photos), **RANDOM)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweeper.data.photo_cache.write_array", full)
    settings = {"cache_dir": photos.parent / "other", **RANDOM}
    data = prepared(folder(photos), **settings)
    assert equal(epochs(expected), epochs(data))
    assert data.digest == expected.digest
    assert caplog.text.count("No space left") == 1


def test_large_photographs_are_limited_to_what_the_transforms_use(
    tmp_path: Path, prepared: Any
) -> None:
    for label in "ab":
        (tmp_path / "big" / label).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (900, 600), label and "teal").save(tmp_path / f"big/{label}/{i}.jpg")
    crop = {"eval_transform": [v2.Resize(14), v2.CenterCrop(12)]}
    data = prepared(folder(tmp_path / "big"), train_transform=[v2.RandomResizedCrop(12)], **crop)
    (shape,) = {tuple(each) for each in data.subsets["train"].feed.photographs.sizes.tolist()}
    assert shape == (49, 73)  # 12 / sqrt(0.08 * 3 / 4) is 48.99
    data = prepared(folder(tmp_path / "big"), train_transform=[v2.RandomCrop(12)], **crop)
    assert data.subsets["train"].feed.photographs.sizes[0].tolist() == [600, 900]


@pytest.mark.parametrize("image_size", [12, (10, 14)])
def test_without_transforms_that_choose_a_size_the_centre_is_cut_out(
    photos: Path, prepared: Any, image_size: Any
) -> None:
    flips = {"train_transform": [v2.RandomHorizontalFlip()]}
    data = prepared(folder(photos), image_size=image_size, **flips)
    size = (12, 12) if image_size == 12 else image_size
    assert data.profile.input_shape == (3, *size)
    assert type(data.subsets["train"].feed).__name__ == "Resident"
    # The evaluation is the same if the transforms of training choose the size.
    crop = {"train_transform": [v2.RandomResizedCrop(size)]}
    other = prepared(folder(photos), image_size=image_size, **crop, **STATISTICS)
    plain = prepared(folder(photos), image_size=image_size, **STATISTICS)
    assert (levels(other) - levels(plain)).abs().max() <= 2


def test_squash_scales_before_the_transforms(photos: Path, prepared: Any) -> None:
    crop = {name: [v2.CenterCrop(8)] for name in ("train_transform", "eval_transform")}
    data = prepared(folder(photos), image_size=16, resize="squash", **crop, **STATISTICS)
    path = folder(photos).files()["test"].paths[data.subsets["test"].indices[0]]
    picture = Image.open(path)
    if int(path.stem) % 4 == 0:
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    expected = v2.CenterCrop(8)(
        v2.PILToTensor()(picture.resize((16, 16), Image.Resampling.BILINEAR))
    )
    assert torch.equal(levels(data)[0], expected.float())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"^data\.image_size=null: image_folder needs a size, unless both data\.train_"),
        ({"train_transform": [v2.RandomCrop(12)]}, r"^data\.image_size=null: image_folder needs"),
        (
            {"train_transform": [v2.RandomCrop(32)], "image_size": 32},
            r"^data\.train_transform: RandomCrop\(.*fails on an image of shape \(3, 31, \d+\)",
        ),
        (
            {"train_transform": [v2.RandomResizedCrop(16)], "image_size": 12},
            r"gives images of shape \(3, 16, 16\) and .* \(3, 12, 12\).*as data\.image_size$",
        ),
    ],
)
def test_what_cannot_work_is_one_line_before_the_first_batch(
    photos: Path, prepared: Any, settings: dict[str, Any], message: str, refuses: Any
) -> None:
    with refuses(ConfigError, message):
        prepared(folder(photos), **settings)


@pytest.mark.parametrize("resident", [True, False])
def test_a_damaged_photograph_is_named(
    photos: Path, prepared: Any, resident: bool, refuses: Any
) -> None:
    path = photos / "a/02.png"
    path.write_bytes(path.read_bytes()[:-200])
    with refuses(DataError, r"a/02\.png cannot be read as an image"):
        data = prepared(folder(photos), resident=resident, num_workers=0, **RANDOM)
        list(data.train(0))


def test_the_described_shape_is_that_of_the_batches(photos: Path) -> None:
    source, crop = folder(photos), [v2.RandomCrop((700, 90))]
    description = describe(source, Inputs.of(source.name, None, "crop", "white", crop, crop, 1))
    assert (description.shape, description.n_classes) == ((3, 700, 90), 2)


def test_the_digest_follows_the_pixels_and_not_the_place(photos: Path, prepared: Any) -> None:
    digest = prepared(folder(photos), **RANDOM).digest
    moved = photos.rename(photos.parent / "moved")
    assert prepared(folder(moved), **RANDOM).digest == digest
    Image.new("RGB", (40, 40)).save(moved / "a/02.png")
    assert prepared(folder(moved), **RANDOM).digest != digest


def test_an_epoch_can_be_continued_in_its_middle(photos: Path, prepared: Any) -> None:
    data = prepared(folder(photos), batch_size=6, **RANDOM)
    torch.manual_seed(1)
    batches = data.train(3)
    next(batches)
    state, expected = torch.get_rng_state(), list(batches)
    resumed = prepared(folder(photos), batch_size=6, resident=False, **RANDOM).train(3)
    next(resumed)
    torch.set_rng_state(state)
    assert equal(expected, list(resumed))


@pytest.mark.parametrize(
    ("transform", "n"),
    [
        (v2.RandomResizedCrop(9), 1),
        (v2.CenterCrop(9), 1),
        (v2.RandomCrop(2000), 1),
        (v1.RandomCrop(9), 1),
        (v2.Resize((9, 9)), 1),
        (v2.Resize(9), 0),
        (v2.RandomHorizontalFlip(), 0),
        (v2.RandomApply([v2.CenterCrop(9)], p=0.5), 0),
        (lambda image: image[:, :5, :6], 1),
        (lambda image: 1 / 0, 0),
    ],
)
def test_a_transform_that_gives_all_images_one_size_is_recognised(transform: Any, n: int) -> None:
    before = torch.get_rng_state()
    assert n_sizing((transform,), 3) == n
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(),
        v1.RandomVerticalFlip(),
        v2.RandomResizedCrop(9),
        v2.RandomCrop(9),
        v2.ColorJitter(0.9),
    ],
    ids=str,
)
def test_every_photograph_gets_its_own_random_parameters(transform: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    photo = torch.randint(0, 256, (3, 20, 24), dtype=torch.uint8, generator=generator)
    torch.manual_seed(0)
    results = torch.stack(transformed(transform, [photo] * 32))
    assert len(results.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_those_of_torchvision_at_the_same_boxes(channels: int) -> None:
    shapes = [(channels, 30 + i, 40 - i) for i in range(8)]
    photos = [torch.randint(0, 256, shape, dtype=torch.uint8) for shape in shapes]
    transform = v2.RandomResizedCrop((9, 11))
    sizes = torch.tensor([photo.shape[-2:] for photo in photos])
    torch.manual_seed(2)
    boxes = random_boxes(sizes, transform.scale, transform.ratio).tolist()
    torch.manual_seed(2)
    for crop, photo, box in zip(transformed(transform, photos), photos, boxes, strict=True):
        assert torch.equal(crop, TF.resized_crop(photo, *box, [9, 11], antialias=True))


def blackened(image: Tensor) -> Tensor:
    return image.zero_()


@pytest.mark.parametrize("before", [[], [v2.RandomHorizontalFlip(p=0.0)]], ids=str)
def test_a_transform_that_works_in_place_does_not_change_the_data(
    photos: Path, prepared: Any, before: list[Any]
) -> None:
    steps = [*before, blackened, v2.RandomResizedCrop(12)]
    settings = RANDOM | {"train_transform": steps, "resident": True, "num_workers": 0}
    data = prepared(folder(photos), **settings, **STATISTICS)
    first = list(data.unaugmented_train())
    assert not torch.cat([images for images, _ in data.train(0)]).any()
    assert equal(first, list(data.unaugmented_train()))


def test_boxes_lie_inside_and_have_the_area_and_ratio() -> None:
    torch.manual_seed(0)
    sizes = torch.tensor([[375, 500], [500, 375]]).repeat(2000, 1)
    top, left, height, width = random_boxes(sizes, (0.2, 0.5), (0.75, 4 / 3)).unbind(1)
    area, ratio = height * width / (375 * 500), width / height
    assert min(top.min(), left.min()) == 0
    assert (top + height <= sizes[:, 0]).all()
    assert (left + width <= sizes[:, 1]).all()
    assert (top + height == sizes[:, 0]).any()
    assert 0.19 < area.min() < 0.21 < 0.49 < area.max() < 0.51
    assert 0.74 < ratio.min() < 0.76 < 1.32 < ratio.max() < 1.35
    assert area.mean().item() == pytest.approx(0.35, abs=0.01)
    assert ratio.log().mean().item() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("size", "box"), [((10, 400), [0, 193, 10, 13]), ((400, 12), [192, 0, 16, 12])]
)
def test_a_box_that_never_fits_is_the_largest_in_the_centre(
    size: tuple[int, int], box: list[int]
) -> None:
    boxes = random_boxes(torch.tensor([size]), (0.9, 1.0), (0.75, 4 / 3))
    transform = v2.RandomResizedCrop(8, scale=(0.9, 1.0))
    theirs = transform.make_params([torch.zeros(3, *size)])
    assert boxes.tolist() == [box] == [list(theirs[k] for k in ("top", "left", "height", "width"))]


def test_numpy_reads_the_index_that_is_written(tmp_path: Path) -> None:
    index = np.array([[2, 3, 7], [1, 1, 9]])
    photo_cache.write_array(tmp_path / "index.npy", index)
    assert np.array_equal(np.load(tmp_path / "index.npy"), index)
