import io
from pathlib import Path

import pytest

from sweeper.tracking.record_file import RECORDS, RecordFile


class FillingFile(io.FileIO):
    """A file on a disk that is full from some time on, in the middle of a write."""

    is_full = False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return super().write(data[: len(data) // 2] if self.is_full else data)


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path) -> None:
    with FillingFile(tmp_path / RECORDS, "a+") as filling:
        file = RecordFile(tmp_path, filling)
        file.append(b"one\n")
        filling.is_full = True
        with pytest.raises(OSError, match="full disk"):
            file.append(b"two\n")
        filling.is_full = False
        file.append(b"three\n")
        assert file.read(0, file.size) == b"one\nthree\n"


def test_a_line_without_an_end_gets_one_once(tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_bytes(b"cut")
    file = RecordFile.open(tmp_path)
    for _ in range(2):
        file.end_last_line()
    file.close()
    assert (tmp_path / RECORDS).read_bytes() == b"cut\n"
