import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeper.data.cache import cached


def folder_of(cache_dir: Path) -> Path:
    return next(cache_dir.glob("arrays-train-*"))


def test_the_second_reader_maps_what_the_first_decoded(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    first = cached("arrays-train", split, tmp_path)
    second = cached("arrays-train", split, tmp_path)
    assert source.decoded == 1
    assert isinstance(second.images, np.memmap)
    assert first.digest == second.digest
    assert np.array_equal(second.images, split.load().images)
    assert second.labels.dtype == np.int64


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "meta.json"])
@pytest.mark.parametrize("kept", [0, 20, 150])
def test_a_truncated_cache_is_rebuilt(source: Any, tmp_path: Path, file: str, kept: int) -> None:
    split = source.splits(None)["train"]
    cached("arrays-train", split, tmp_path)
    damaged = folder_of(tmp_path) / file
    damaged.write_bytes(damaged.read_bytes()[: min(kept, damaged.stat().st_size - 1)])
    again = cached("arrays-train", split, tmp_path)
    assert source.decoded == 2
    assert np.array_equal(again.images, split.load().images)
    assert isinstance(cached("arrays-train", split, tmp_path).images, np.memmap)


def test_a_cache_that_lacks_a_file_is_rebuilt(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    cached("arrays-train", split, tmp_path)
    (folder_of(tmp_path) / "labels.npy").unlink()
    assert cached("arrays-train", split, tmp_path).folder is not None
    assert source.decoded == 2


def test_a_cache_that_contradicts_itself_is_rebuilt(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    cached("arrays-train", split, tmp_path)
    meta = folder_of(tmp_path) / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"shape": [1, 1, 1, 1]}))
    cached("arrays-train", split, tmp_path)
    assert source.decoded == 2


def test_racing_readers_all_succeed_and_leave_one_folder(source: Any, tmp_path: Path) -> None:
    split = source.splits(None)["train"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cached("arrays-train", split, tmp_path), range(16)))
    assert len({stored.digest for stored in found}) == 1
    assert all(stored.folder for stored in found)
    assert [path.name for path in tmp_path.iterdir()] == [folder_of(tmp_path).name]


def test_an_unwritable_folder_is_a_warning(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        stored = cached("arrays-train", source.splits(None)["train"], tmp_path / "file" / "below")
    assert stored.folder is None
    assert len(stored.labels) == 90
    assert "arrays-train is not cached" in caplog.text


def test_a_cached_set_needs_neither_torchvision_nor_sklearn(tmp_path: Path, prepared: Any) -> None:
    from sweeper.data.digits import Digits

    prepared(Digits())
    code = (
        "import sys; from pathlib import Path; from sweeper.data.cache import cached\n"
        "from sweeper.data.digits import Digits; import sweeper.data.prepare\n"
        "import sweeper.data.torchvision_sets\n"
        f"folder = Path({str(tmp_path / 'cache')!r})\n"
        "s = cached('digits-train', Digits().splits(None)['train'], folder)\n"
        "assert type(s.images).__name__ == 'memmap'\n"
        "assert not {'torchvision', 'sklearn'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
