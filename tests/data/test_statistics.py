from typing import Any

import numpy as np
import pytest

from sweeper.data.cache import open_cached
from sweeper.data.statistics import CHUNK_SIZE, measure, training_statistics


def test_the_statistics_equal_numpys_for_any_chunks() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 5, 7), dtype=np.uint8)
    measured = measure([images])
    assert measured == measure(np.array_split(images, 7))
    scaled = images.astype(np.float64) / 255
    assert measured.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert measured.std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-12)


@pytest.mark.parametrize("n", [1, 4, 50, 700])
def test_a_constant_channel_has_std_1(n: int) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1, 1)  # a channel for each level
    assert measure([np.broadcast_to(levels, (n, 256, 3, 3))]).std == (1.0,) * 256


def test_a_channel_of_two_levels_is_not_constant() -> None:
    images = np.full((1000, 1, 8, 8), 200, dtype=np.uint8)
    images[0, 0, 0, 0] = 201
    assert measure([images]).std[0] == pytest.approx(1 / 255 / 64000**0.5, rel=1e-4)


def test_a_rounding_error_that_an_earlier_version_has_cached_is_measured_again(
    source: Any, tmp_path: Any
) -> None:
    split = open_cached("arrays-train", source.splits(None)["train"], tmp_path)
    first = training_statistics(split, np.arange(5))
    (file,) = tmp_path.glob("*/statistics-*.json")
    file.write_text('{"mean": [0.2, 0.2, 0.2], "std": [0.1, 2.8e-17, 0.1]}')
    assert training_statistics(split, np.arange(5)) == first


def test_statistics_are_cached_for_each_set_of_images(source: Any, tmp_path: Any) -> None:
    split = open_cached("arrays-train", source.splits(None)["train"], tmp_path)
    some_images, all_images = np.arange(5), np.arange(90)
    first = training_statistics(split, some_images)
    (file,) = tmp_path.glob("*/statistics-*.json")
    file.write_text('{"mean": [1, 2, 3], "std": [4, 5, 6]}')
    assert training_statistics(split, some_images).std == (4, 5, 6)
    assert training_statistics(split, all_images).std != (4, 5, 6)
    file.write_text('{"mean": [1, 2')
    assert training_statistics(split, some_images) == first


def test_more_images_than_a_chunk_are_all_measured(array_source: Any, tmp_path: Any) -> None:
    source = array_source(shape=(1, 2, 2), n=CHUNK_SIZE + 10)
    split = open_cached("arrays-train", source.splits(None)["train"], tmp_path)
    expected = (split.images[np.arange(CHUNK_SIZE + 10)] / 255).mean()
    measured = training_statistics(split, np.arange(CHUNK_SIZE + 10))
    assert measured.mean[0] == pytest.approx(expected, rel=1e-12)
