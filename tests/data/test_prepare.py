import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from sweeper.data.source import Decoded, Split
from sweeper.errors import ConfigError, DataError

AUGMENT = [v2.RandomCrop(8, padding=2), v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)]


def pixels(data: Any, batches: Any) -> Tensor:
    """Return the levels (N, C * H * W) of the images in these batches, before normalisation."""
    std, mean = (torch.tensor(v).view(1, -1, 1, 1) for v in (data.profile.std, data.profile.mean))
    return torch.cat([((x * std + mean) * 255).round().flatten(1) for x, _ in batches])


def test_batches_are_normalised_float32_with_int64_labels(prepared: Any, source: Any) -> None:
    data = prepared(source)
    images, labels = next(data.train(0))
    assert (images.shape, images.dtype) == ((16, 3, 8, 8), torch.float32)
    assert (labels.shape, labels.dtype) == ((16,), torch.int64)
    all_images = torch.cat([x for x, _ in data.train(0)])
    assert torch.allclose(all_images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(all_images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_every_image_is_in_exactly_one_split(prepared: Any, source: Any) -> None:
    data = prepared(source)
    assert data.sizes == {"train": 72, "val": 18, "test": 30}
    splits = [pixels(data, split) for split in (data.train(0), data.val(), data.test())]
    assert len(torch.cat(splits).unique(dim=0)) == 120
    assert data.profile.class_counts == (24, 24, 24)
    assert data.profile.classes == ("a", "b", "c")


def test_an_epoch_depends_only_on_its_number_and_the_seed(prepared: Any, source: Any) -> None:
    data, resumed = prepared(source), prepared(source)
    list(data.train(0))
    second, first_of_resumed = list(data.train(1)), list(resumed.train(1))
    assert all(torch.equal(a, b) for a, b in zip(second[0], first_of_resumed[0], strict=True))
    assert not torch.equal(second[0][0], next(data.train(2))[0])
    assert not torch.equal(second[0][0], next(prepared(source, seed=2).train(1))[0])


def test_the_order_of_evaluation_is_fixed(prepared: Any, source: Any) -> None:
    data = prepared(source)
    first, second = pixels(data, data.val()), pixels(data, data.val())
    assert torch.equal(first, second)
    images, labels = data.samples("val", [5, 0])
    assert torch.equal(pixels(data, [(images, labels)]), first[[5, 0]])


def test_samples_may_be_more_than_a_batch(prepared: Any, source: Any) -> None:
    data = prepared(source, batch_size=4)
    images, labels = data.samples("test", list(range(10)))
    expected = [i % 3 for i in data.subsets["test"].indices[:10].tolist()]
    assert (len(images), labels.tolist()) == (10, expected)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("extra", [{}, {"train_transform": AUGMENT, "min_image_size": 13}])
def test_streaming_gives_the_same_batches_to_the_bit(
    prepared: Any, source: Any, channels_last: bool, num_workers: int, extra: dict[str, Any]
) -> None:
    settings = {"channels_last": channels_last, "num_workers": num_workers} | extra
    epochs = []
    for resident in (True, False):
        torch.manual_seed(4)
        data = prepared(source, resident=resident, **settings)
        epochs.append([*data.train(3), *data.val(), *data.test(), (torch.rand(1), torch.rand(1))])
    for (images, labels), (other_images, other_labels) in zip(*epochs, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_have_the_configured_memory_format(
    prepared: Any, source: Any, resident: bool, channels_last: bool
) -> None:
    images, _ = next(prepared(source, resident=resident, channels_last=channels_last).train(0))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=layout)


@pytest.mark.parametrize(("limit", "kind"), [(1.0, "Resident"), (1e-6, "Streaming")])
def test_auto_is_resident_up_to_the_limit(
    prepared: Any, source: Any, limit: float, kind: str
) -> None:
    data = prepared(source, resident_limit_gib=limit)
    assert type(data.subsets["train"].feed).__name__ == kind


@pytest.mark.parametrize(
    ("batch_size", "limit", "steps", "last"),
    [(8, 17, 2, 8), (8, 18, 3, 2), (8, 16, 2, 8), (1, 5, 5, 1), (8, 5, 1, 5), (2, 3, 1, 2)],
)
def test_only_a_last_batch_of_one_image_is_left_out(
    prepared: Any, source: Any, batch_size: int, limit: int, steps: int, last: int
) -> None:
    data = prepared(source, batch_size=batch_size, train_limit=limit)
    batches = list(data.train(0))
    assert (len(batches), len(batches[-1][1]), data.steps_per_epoch) == (steps, last, steps)


def test_a_single_training_image_needs_batches_of_one(prepared: Any, source: Any) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.train_limit=1 leaves 1 training image"):
        prepared(source, train_limit=1)
    assert prepared(source, train_limit=1, batch_size=1).steps_per_epoch == 1


def test_evaluation_uses_every_image(prepared: Any, source: Any) -> None:
    data = replace(prepared(source), eval_batch_size=17)
    assert [len(labels) for _, labels in data.val()] == [17, 1]


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_images_is_refused(
    prepared: Any, source: Any, refuses: Any, split: str, resident: bool
) -> None:
    splits = source.splits(None)
    pixels, labels = np.zeros((0, *source.shape), dtype=np.uint8), np.zeros(0, dtype=np.int64)
    empty = Split(f"{split} empty", lambda: Decoded(pixels, labels, ("a", "b", "c")))
    source.splits = lambda image_size: {**splits, split: empty}
    with refuses(DataError, f"^data=arrays: {split} has no image; add some"):
        prepared(source, resident=resident)


IMAGES, LABELS = np.zeros((4, 1, 8, 8), dtype=np.uint8), np.array([0, 1, 0, 1])


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255, LABELS, "has images of type float64: expected uint8, from 0 to 255"),
        (torch.zeros(4, 1, 8, 8), LABELS, "has images of type float32: expected uint8"),
        (IMAGES[:, 0], LABELS, r"has images of shape \(4, 8, 8\): expected \(N, channels, height"),
        (IMAGES, LABELS[:3], "has 4 images and 3 labels"),
        (IMAGES[:3], LABELS, "has 3 images and 4 labels"),
        (IMAGES, LABELS / 2, "has labels of type float64: expected int64"),
        (IMAGES, LABELS.astype(str), "has labels of type <U"),
    ],
)
def test_images_and_labels_of_another_type_or_number_are_refused(
    prepared: Any, source: Any, refuses: Any, images: Any, labels: Any, message: str, resident: bool
) -> None:
    wrong = Split("wrong", lambda: Decoded(images, labels, ("a", "b")))
    source.splits = lambda image_size: {"train": wrong}
    with refuses(DataError, f"^data=arrays: train {message}"):
        prepared(source, resident=resident)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("train", "valid"),
            "^data=arrays: nothing reads a split valid; name it train, val or test",
        ),
        (("test",), "^data=arrays: there is no split train"),
    ],
)
def test_splits_of_other_names_are_refused(
    prepared: Any, source: Any, refuses: Any, names: tuple[str, ...], message: str
) -> None:
    split = source.splits(None)["train"]
    source.splits = lambda image_size: dict.fromkeys(names, split)
    with refuses(DataError, message):
        prepared(source)


@pytest.mark.parametrize("kind", ["int32", "uint8", ">i8", "bool"])
def test_labels_of_other_integer_types_give_the_same_batches_and_are_cached(
    prepared: Any, source: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Decoded:
        return Decoded(IMAGES, LABELS.astype(kind), ("a", "b"))

    source.splits = lambda image_size: {"train": Split(kind, load)}
    for _ in range(2):
        _, labels = next(prepared(source, val_fraction=0.5).train(0))
        assert (labels.dtype, sorted(labels.tolist())) == (torch.int64, [0, 1])
    assert not caplog.messages


def test_a_source_may_have_no_test_split(prepared: Any, array_source: Any) -> None:
    data = prepared(array_source(n_test=0))
    assert not data.has_test
    assert "test" not in data.sizes
    with pytest.raises(ConfigError, match="data=arrays has no test split"):
        data.test()


@pytest.mark.parametrize(
    ("settings", "shape", "logged"),
    [
        ({}, (3, 8, 8), False),
        ({"min_image_size": 8}, (3, 8, 8), False),
        ({"min_image_size": 13}, (3, 13, 13), True),
        ({"image_size": 5}, (3, 5, 5), False),
        ({"image_size": 5, "min_image_size": 6}, (3, 6, 6), True),
        ({"image_size": 20, "min_image_size": 6}, (3, 20, 20), False),
        (
            {"train_transform": [v2.CenterCrop(4)], "eval_transform": [v2.CenterCrop(4)]},
            (3, 4, 4),
            False,
        ),
        (
            {"eval_transform": [v2.Grayscale()], "train_transform": [v2.Grayscale()]},
            (1, 8, 8),
            False,
        ),
    ],
)
def test_the_input_shape_is_that_of_the_batches(
    prepared: Any,
    source: Any,
    settings: dict[str, Any],
    shape: tuple[int, int, int],
    logged: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "sweeper"):
        data = prepared(source, **settings)
    assert data.profile.input_shape == shape
    assert all(next(batches)[0].shape[1:] == shape for batches in (data.train(0), data.val()))
    enlargements = [r.message for r in caplog.records if "enlarged to" in r.message]
    assert len(enlargements) == logged
    assert len(data.profile.mean) == len(data.profile.std) == shape[0]


def test_transforms_must_end_in_one_shape(prepared: Any, source: Any) -> None:
    with pytest.raises(ConfigError, match=r"shape \(3, 6, 6\) .* \(3, 8, 8\)"):
        prepared(source, train_transform=[v2.RandomCrop(6)])


def test_a_transform_that_fails_is_named(prepared: Any, source: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.train_transform: RandomCrop.* \(3, 8, 8\)"):
        prepared(source, train_transform=[v2.RandomCrop(20)])


def test_training_is_augmented_and_evaluation_is_not(prepared: Any, source: Any) -> None:
    plain, augmented = prepared(source), prepared(source, train_transform=AUGMENT)
    assert not torch.equal(next(plain.train(0))[0], next(augmented.train(0))[0])
    assert torch.equal(next(plain.val())[0], next(augmented.val())[0])


def test_preparing_does_not_change_the_global_random_state(prepared: Any, source: Any) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(prepared(source, train_transform=AUGMENT, resident=False).val())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": [0.5]}, r"data\.mean=\[0\.5\]: expected 3 values"),
        ({"std": [0.5, 0.5]}, r"data\.std=\[0\.5, 0\.5\]: expected 3 values"),
    ],
)
def test_constants_must_match_the_channels(
    prepared: Any, source: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(source, **settings)


def test_mean_and_std_of_the_config_are_used(prepared: Any, source: Any) -> None:
    data = prepared(source, mean=[0.0, 0.0, 0.0], std=[1.0, 0.5, 0.25])
    assert (data.profile.mean, data.profile.std) == ((0.0, 0.0, 0.0), (1.0, 0.5, 0.25))
    assert next(data.val())[0].amax(dim=(0, 2, 3)).ceil().tolist() == [1, 2, 4]


def test_the_statistics_are_measured_on_training_images_alone(prepared: Any, source: Any) -> None:
    data = prepared(source, mean=[0.0] * 3, std=[1.0] * 3)
    images = torch.cat([x for x, _ in data.train(0)]).double()
    measured = prepared(source)
    assert measured.profile.mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), abs=1e-6)
    assert measured.profile.std == pytest.approx(
        images.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-6
    )


def test_the_digest_depends_on_the_content_only(
    prepared: Any, source: Any, array_source: Any
) -> None:
    assert prepared(source).digest == prepared(source, seed=9).digest
    assert prepared(source).digest != prepared(array_source(n=93)).digest


def test_pictures_show_the_pixels_of_a_batch(prepared: Any, source: Any) -> None:
    data = prepared(source)
    images, _ = data.samples("val", [0])
    (picture,) = data.to_pictures(images)
    stored = torch.from_numpy(data.subsets["val"].feed.pixels[data.subsets["val"].indices[:1]])
    assert np.array(picture).tolist() == stored[0].permute(1, 2, 0).tolist()


def test_each_split_and_the_statistics_are_cached_once(
    prepared: Any, source: Any, tmp_path: Path
) -> None:
    prepared(source)
    names = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "cache").iterdir())
    assert names == ["arrays-test", "arrays-train"]
    assert len(list((tmp_path / "cache").glob("arrays-train-*/statistics-*.json"))) == 1
