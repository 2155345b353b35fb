"""The file of a checkpoint: no flipped byte is accepted, and nothing in it is run or unpacked."""

import pickle
import random
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import torch

from sweeper.training.checkpoint_file import (
    _write,
    load_checked,
    read_checked,
    write_checkpoint,
)

CONTENT = {"format": 3, "weights": torch.arange(2000.0), "history": [{"val/loss": 0.5}]}


@pytest.fixture
def path(tmp_path) -> Path:
    write_checkpoint(tmp_path / "new.pt", CONTENT)
    return tmp_path / "new.pt"


@pytest.fixture
def old(tmp_path) -> Path:
    """A file as earlier versions wrote it: without a checksum of the whole file."""
    torch.save(CONTENT, tmp_path / "old.pt")
    return tmp_path / "old.pt"


def flipped(data: bytes, seed: int) -> bytes:
    """Flip up to 20 bytes anywhere, or near the end, where the archive keeps its directory."""
    rng, changed = random.Random(seed), bytearray(data)
    start = rng.choice([0, max(0, len(data) - 700)])
    for _ in range(rng.choice([1, 1, 2, 20])):
        changed[rng.randrange(start, len(data))] ^= rng.randrange(1, 256)
    return bytes(changed)


DAMAGED = (ValueError, EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile)
"""What the libraries raise for a damaged file. It has no type of its own."""


def is_content(loaded: object) -> bool:
    return (
        isinstance(loaded, dict)
        and loaded.keys() == CONTENT.keys()
        and torch.equal(loaded["weights"], CONTENT["weights"])
        and loaded["history"] == CONTENT["history"]
    )


def test_both_kinds_of_files_are_read_by_both_readers(path, old) -> None:
    for file in (path, old):
        assert is_content(read_checked(file))
        assert is_content(torch.load(file, weights_only=True))


def test_no_flipped_byte_is_accepted(path) -> None:
    data = path.read_bytes()
    assert is_content(load_checked(BytesIO(data)))
    for seed in range(500):
        if (damaged := flipped(data, seed)) != data:
            with pytest.raises(DAMAGED):
                load_checked(BytesIO(damaged))


def test_flipped_bytes_never_change_what_an_older_file_holds(old) -> None:
    data, refused = old.read_bytes(), 0
    for seed in range(1500):
        try:
            loaded = load_checked(BytesIO(flipped(data, seed)))
        except DAMAGED:
            refused += 1
        else:
            assert is_content(loaded), seed
    assert refused > 1000


@pytest.mark.parametrize("length", [0, 1, 21, 22, 45, 5000, -1])
def test_a_part_of_a_file_is_refused(path, length) -> None:
    data = path.read_bytes()
    assert is_content(load_checked(BytesIO(data)))
    with pytest.raises(DAMAGED):
        load_checked(BytesIO(data[:length]))


def test_bytes_behind_the_end_are_refused(path) -> None:
    with pytest.raises(ValueError, match="checksum"):
        load_checked(BytesIO(path.read_bytes() + b"\0"))


class Opens:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["archive", "before archives", "bare pickle", "checked"])
def test_a_pickle_that_would_run_code_is_never_run(tmp_path, kind) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pt"
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps(Opens(marker)))
    elif kind == "checked":
        write_checkpoint(path, {"format": 3, "model": Opens(marker)})
    else:
        torch.save(Opens(marker), path, _use_new_zipfile_serialization=kind == "archive")
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        read_checked(path)
    assert not marker.exists()


def rewritten(old: Path, *extra: tuple[str, bytes], compression: int) -> Path:
    """Write the members of an archive into another one, with members added."""
    path = old.with_name("rewritten.pt")
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(path, "w", compression) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
        for name, data in extra:
            target.writestr(name, data)
    return path


def test_a_member_that_would_fill_the_memory_is_not_decompressed(old) -> None:
    bomb = rewritten(old, ("old/data/9", bytes(10**8)), compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**6
    with pytest.raises(ValueError, match="archive is damaged"):
        read_checked(bomb)


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [("../outside", True), ("/outside", True), ("old/../../outside", False)],
)
def test_a_member_with_a_path_is_not_unpacked(old, name, is_refused) -> None:
    poisoned = rewritten(old, (name, b"poison"), compression=zipfile.ZIP_STORED)
    if is_refused:
        with pytest.raises(RuntimeError, match="not in a subdirectory"):
            read_checked(poisoned)
    else:
        assert is_content(read_checked(poisoned))
    assert not Path("/outside").exists()
    assert not list(old.parent.parent.rglob("outside"))


def test_of_two_members_of_one_name_both_are_compared(old) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        double = rewritten(old, ("old/data/0", bytes(8000)), compression=zipfile.ZIP_STORED)
    data = double.read_bytes()
    first = data.index(CONTENT["weights"].numpy().tobytes())
    double.write_bytes(data[: first + 80] + b"\xff" + data[first + 81 :])
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_checked(double)


class Breaks(BytesIO):
    """A file that fails at its third write."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error, self.writes = error, 0

    def write(self, data, /) -> int:
        self.writes += 1
        if self.writes == 3:
            raise self.error
        return super().write(data)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_the_error_of_a_write_is_raised_and_not_one_of_torchs(error) -> None:
    with pytest.raises(type(error)) as caught:
        _write(Breaks(error), CONTENT)
    assert caught.value is error
