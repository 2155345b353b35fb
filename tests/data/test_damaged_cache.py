"""A data cache with flipped bytes or impossible labels: it is rebuilt, in one line."""

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeper.data.cache import _checksum, open_cached
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.data.statistics import training_statistics
from sweeper.errors import DataError


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    assert not [message for message in messages if "\n" in message]
    return messages


def flip(path: Path, rng: random.Random, count: int) -> None:
    data = bytearray(path.read_bytes())
    for position in rng.sample(range(rng.choice([min(128, len(data)), len(data)])), count):
        data[position] ^= rng.randrange(1, 256)
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "meta.json"])
@pytest.mark.parametrize("count", [1, 20])
def test_flipped_bytes_are_found_wherever_they_are(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, count: int
) -> None:
    split, rng = source.splits(None)["train"], random.Random(0)
    whole = split.load()
    for _ in range(20):
        folder = open_cached("arrays", split, tmp_path).cache_folder
        assert folder is not None
        flip(folder / file, rng, count)
        caplog.clear()
        rebuilt = open_cached("arrays", split, tmp_path)
        (line,) = lines(caplog)
        assert line.startswith(str(folder))
        assert "will be rebuilt" in line
        assert np.array_equal(rebuilt.images, whole.images)
        assert np.array_equal(rebuilt.labels, whole.labels)
        assert rebuilt.classes == whole.classes


def test_a_cache_of_an_earlier_version_is_rebuilt_in_one_line(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = source.splits(None)["train"]
    folder = open_cached("arrays", split, tmp_path).cache_folder
    meta = json.loads((folder / "meta.json").read_text())
    del meta["crc32"]
    (folder / "meta.json").write_text(json.dumps(meta))
    open_cached("arrays", split, tmp_path)
    assert [line.endswith("has no 'crc32' and will be rebuilt") for line in lines(caplog)] == [True]
    assert source.decoded == 2
    open_cached("arrays", split, tmp_path)
    assert source.decoded == 2


def test_a_run_with_a_damaged_cache_gets_the_same_batches(
    prepared: Any, source: Any, tmp_path: Path
) -> None:
    images, labels = next(prepared(source).train(1))
    for path in (tmp_path / "cache").glob("arrays-*/*"):
        flip(path, random.Random(0), 20)
    again, same_labels = next(prepared(source).train(1))
    assert again.equal(images)
    assert same_labels.equal(labels)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_statistics_are_measured_again(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    split, indices = open_cached("arrays", source.splits(None)["train"], tmp_path), np.arange(50)
    whole = training_statistics(split, indices)
    assert split.cache_folder is not None
    (path,) = split.cache_folder.glob("statistics-*.json")
    text = path.read_bytes()
    flip(path, random.Random(seed), 1)
    assert training_statistics(split, indices) == whole
    (line,) = lines(caplog)
    assert line.startswith(str(path))
    assert "will be rebuilt" in line
    assert path.read_bytes() == text


def with_labels(labels: np.ndarray, label_type: str = "multiclass") -> Any:
    class Labelled:
        name = "mine"

        def __init__(self) -> None:
            self.label_type = label_type

        def splits(self, image_size: int | None) -> dict[str, Split]:
            images = np.zeros((len(labels), 1, 8, 8), dtype=np.uint8)
            decoded = Decoded(images, labels, ("a", "b", "c"))
            key = fingerprint({"labels": labels.tolist(), "type": label_type})
            return {"train": Split(key, lambda: decoded)}

    return Labelled()


@pytest.mark.parametrize(
    ("labels", "label_type", "message"),
    [
        ([0, 1, 250] * 9, "multiclass", "the label 250: expected 0 to 2, because there are 3"),
        ([0, 1, -1] * 9, "multiclass", "the label -1: expected 0 to 2"),
        ([[0], [1], [2]] * 9, "multiclass", r"labels of shape \(27, 1\)"),
        ([[0, 1, 2]] * 9, "multilabel", "the label 2: expected 0 to 1"),
        ([[0, 1]] * 9, "multilabel", r"labels of shape \(9, 2\)"),
        ([[0, 3]] * 9, "sequence", "the label 3: expected -1 to 2"),
        ([0, 1, 2] * 9, "sequence", r"labels of shape \(27,\)"),
    ],
)
def test_labels_that_are_no_classes_are_one_line(
    prepared: Any, refuses: Any, labels: Any, label_type: str, message: str
) -> None:
    with refuses(DataError, f"data=mine: train .*has .*{message}"):
        prepared(with_labels(np.array(labels, dtype=np.int64), label_type))


def test_cached_labels_that_are_no_classes_are_replaced(
    prepared: Any, source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepared(source)
    for path in (tmp_path / "cache").glob("arrays-train-*/labels.npy"):
        np.save(path, np.full_like(np.load(path), 250))
    assert prepared(source).profile.class_counts == before.profile.class_counts
    assert [line.endswith("its checksum differs") for line in lines(caplog)] == [True]


def test_forged_labels_that_are_no_classes_are_one_line(
    prepared: Any, source: Any, tmp_path: Path, refuses: Any
) -> None:
    prepared(source)
    (folder,) = (tmp_path / "cache").glob("arrays-train-*")
    np.save(folder / "labels.npy", np.full(90, 250))
    meta = json.loads((folder / "meta.json").read_text())
    meta["crc32"] = _checksum(folder, meta)
    (folder / "meta.json").write_text(json.dumps(meta))
    with refuses(DataError, rf"train \(cached in {folder}\) has the label 250"):
        prepared(source)


def test_the_check_of_a_large_cache_is_cheap(tmp_path: Path) -> None:
    images = np.zeros((60_000, 1, 28, 28), dtype=np.uint8)
    decoded = Decoded(images, np.zeros(60_000, dtype=np.int64), ("a", "b"))
    split = Split("f" * 64, lambda: decoded)
    open_cached("large", split, tmp_path)
    started = time.process_time()
    open_cached("large", split, tmp_path)
    assert time.process_time() - started < 0.2  # 25 ms on a slow core
