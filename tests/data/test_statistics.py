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


def test_a_constant_channel_has_std_1() -> None:
    assert measure([np.full((4, 1, 3, 3), 51, dtype=np.uint8)]).std == (1.0,)


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
