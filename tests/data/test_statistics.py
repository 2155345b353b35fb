from typing import Any

import numpy as np
import pytest

from sweeper.data.cache import cached
from sweeper.data.statistics import CHUNK, measure, training_statistics


def test_the_statistics_are_numpys_own_over_any_chunks() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 5, 7), dtype=np.uint8)
    whole = measure([images])
    assert whole == measure(np.array_split(images, 7))
    scaled = images.astype(np.float64) / 255
    assert whole.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert whole.std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-12)


def test_a_constant_channel_is_not_divided_by_nothing() -> None:
    assert measure([np.full((4, 1, 3, 3), 51, dtype=np.uint8)]).std == (1.0,)


def test_statistics_are_kept_beside_the_cache_by_their_images(source: Any, tmp_path: Any) -> None:
    stored = cached("arrays-train", source.splits(None)["train"], tmp_path)
    few, all_of_them = np.arange(5), np.arange(90)
    first = training_statistics(stored, few)
    (file,) = tmp_path.glob("*/statistics-*.json")
    file.write_text('{"mean": [1, 2, 3], "std": [4, 5, 6]}')
    assert training_statistics(stored, few).std == (4, 5, 6)
    assert training_statistics(stored, all_of_them).std != (4, 5, 6)
    file.write_text('{"mean": [1, 2')
    assert training_statistics(stored, few) == first


def test_more_images_than_a_chunk_are_all_counted(array_source: Any, tmp_path: Any) -> None:
    source = array_source(shape=(1, 2, 2), n=CHUNK + 10)
    stored = cached("arrays-train", source.splits(None)["train"], tmp_path)
    expected = (stored.images[np.arange(CHUNK + 10)] / 255).mean()
    measured = training_statistics(stored, np.arange(CHUNK + 10))
    assert measured.mean[0] == pytest.approx(expected, rel=1e-12)
