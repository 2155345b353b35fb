import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study_side import StudySide
from sweeper import trial
from sweeper.data.cache import open_cached


def train_folder(cache_dir: Path) -> Path:
    return next(cache_dir.glob("arrays-train-*"))


def test_a_split_is_decoded_once_and_then_memory_mapped(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    first = open_cached("arrays-train", split, tmp_path)
    second = open_cached("arrays-train", split, tmp_path)
    assert source.decoded == 1
    assert isinstance(second.images, np.memmap)
    assert first.digest == second.digest
    assert np.array_equal(second.images, split.load().images)
    assert second.labels.dtype == np.int64


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "meta.json"])
@pytest.mark.parametrize("n_bytes", [0, 20, 150])
def test_a_truncated_cache_is_rebuilt(source: Any, tmp_path: Path, file: str, n_bytes: int) -> None:
    split = source.splits(None)["train"]
    open_cached("arrays-train", split, tmp_path)
    damaged = train_folder(tmp_path) / file
    damaged.write_bytes(damaged.read_bytes()[: min(n_bytes, damaged.stat().st_size - 1)])
    rebuilt = open_cached("arrays-train", split, tmp_path)
    assert source.decoded == 2
    assert np.array_equal(rebuilt.images, split.load().images)
    assert isinstance(open_cached("arrays-train", split, tmp_path).images, np.memmap)


def test_a_cache_with_a_missing_file_is_rebuilt(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    open_cached("arrays-train", split, tmp_path)
    (train_folder(tmp_path) / "labels.npy").unlink()
    assert open_cached("arrays-train", split, tmp_path).cache_folder is not None
    assert source.decoded == 2


def test_a_cache_with_an_inconsistent_shape_is_rebuilt(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    open_cached("arrays-train", split, tmp_path)
    meta = train_folder(tmp_path) / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"shape": [1, 1, 1, 1]}))
    open_cached("arrays-train", split, tmp_path)
    assert source.decoded == 2


def test_concurrent_readers_all_succeed_and_leave_one_folder(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_cached("arrays-train", split, tmp_path), range(16)))
    assert len({split.digest for split in opened}) == 1
    assert all(split.cache_folder for split in opened)
    assert [path.name for path in tmp_path.iterdir()] == [train_folder(tmp_path).name]


def test_an_unwritable_cache_folder_is_a_warning(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        cache_dir = tmp_path / "file" / "below"
        split = open_cached("arrays-train", source.splits(None)["train"], cache_dir)
    assert split.cache_folder is None
    assert len(split.labels) == 90
    assert "arrays-train is not cached" in caplog.text


def test_a_cached_set_needs_neither_torchvision_nor_sklearn(tmp_path: Path, prepared: Any) -> None:
    from sweeper.data.digits import Digits

    prepared(Digits())
    code = (
        "import sys; from pathlib import Path; from sweeper.data.cache import open_cached\n"
        "from sweeper.data.digits import Digits; import sweeper.data.prepare\n"
        "import sweeper.data.torchvision_sets\n"
        f"folder = Path({str(tmp_path / 'cache')!r})\n"
        "s = open_cached('digits-train', Digits().splits(None)['train'], folder)\n"
        "assert type(s.images).__name__ == 'memmap'\n"
        "assert not {'torchvision', 'sklearn'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_trials_of_a_worker_check_a_split_once(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.data.kept._kept", {})
    split = source.splits(None)["train"]
    with trial.reported_by(StudySide()):
        open_cached("arrays-train", split, tmp_path)
        second, third = (open_cached("arrays-train", split, tmp_path) for _ in range(2))
        assert second is third
        damaged = train_folder(tmp_path) / "images.npy"
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x00\x00")
        assert np.array_equal(
            open_cached("arrays-train", split, tmp_path).images, split.load().images
        )
    assert source.decoded == 3
