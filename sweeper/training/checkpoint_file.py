"""The file of a checkpoint: what `torch.save` writes, with a checksum of all of its bytes.

    <archive of torch.save> <length of the comment, 2 bytes> "sweeper crc32 89abcdef"

The checksum is the comment at the end of the zip archive, so `torch.load` reads the file as any
other. `torch.load` itself compares no checksum: it would accept weights with flipped bytes.
"""

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sweeper.files import CHUNK_BYTES, crc32_of, replacing

MARK = b"sweeper crc32 "
COMMENT_LENGTH = len(MARK) + 8
TRAILER_LENGTH = 2 + COMMENT_LENGTH
"""Bytes that the checksum does not cover: the comment and its length."""

FOLDER_ATTRIBUTE = 0x10
"""The bit of a member's attributes that marks a folder."""

NO_COMMENT = struct.pack("<H", 0)
"""The length of the comment in an archive of `torch.save`: its last two bytes."""


class _Summed:
    """A file for `torch.save` to write to, which sums up the bytes and keeps the first error.

    torch would replace the error by one of its own, which does not say that the disk is full or
    that the user interrupted.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc = 0
        self.error: BaseException | None = None

    def write(self, data: memoryview) -> int:
        if self.error is None:
            try:
                self.crc = zlib.crc32(data, self.crc)
                self._file.write(data)
            except BaseException as error:
                self.error = error  # raised once torch has returned
        return len(data)

    def flush(self) -> None:
        """Do nothing: closing the file flushes it."""


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint in one step: `path` holds the old content or all of the new content.

    Raises:
        OSError: the disk is full, or the file cannot be written for another reason.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        _write(file, content)


def checkpoint_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the bytes that `write_checkpoint` would write."""
    buffer = BytesIO()
    _write(buffer, content)
    return buffer.getvalue()


def _write(file: BinaryIO, content: Mapping[str, Any]) -> None:
    summed = _Summed(file)
    torch.save(dict(content), summed)  # type: ignore[arg-type]
    if summed.error is not None:
        raise summed.error
    file.seek(-len(NO_COMMENT), os.SEEK_END)
    file.write(_trailer(summed.crc))


def _trailer(crc: int) -> bytes:
    return struct.pack("<H", COMMENT_LENGTH) + MARK + b"%08x" % crc


def read_checked(path: Path) -> Any:
    """Return the content of a file of `write_checkpoint` or `torch.save`, tensors on the CPU.

    Raises:
        OSError: the file cannot be read.
        Exception: the file is damaged, or it is no file of `torch.save`.
    """
    with path.open("rb") as file:
        return load_checked(file)


def load_checked(file: BinaryIO) -> Any:
    """Return the content of an open file, as `read_checked` does."""
    _require_intact(file)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a pickle before it refuses it
        return torch.load(file, map_location="cpu", weights_only=True)


def _require_intact(file: BinaryIO) -> None:
    """Compare the checksums in a file; a file of torch's format before zip archives has none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TRAILER_LENGTH))
    trailer = file.read()
    file.seek(0)
    has_checksum = trailer[2:].startswith(MARK)
    if has_checksum:
        whole = zlib.crc32(NO_COMMENT, crc32_of(file, size - TRAILER_LENGTH))
        if trailer != _trailer(whole):
            raise ValueError("its checksum differs")
    elif file.read(2) != b"PK":
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > size or not all(map(_is_plain, members)):
            raise ValueError("its archive is damaged")
        if not has_checksum:
            _require_intact_members(archive)


def _require_intact_members(archive: zipfile.ZipFile) -> None:
    """Compare the checksum of each member of an archive that has no checksum as a whole."""
    if archive.comment:
        raise ValueError("its checksum is damaged")
    for member in archive.infolist():
        with archive.open(member) as data:
            while data.read(CHUNK_BYTES):  # the last read compares the checksum
                pass


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is as torch writes it.

    torch compresses nothing, and a small compressed member could fill the memory. For a member with
    two sizes, or one that is marked as a folder, torch returns memory that it has not written to.
    """
    stored = member.compress_type == zipfile.ZIP_STORED
    one_size = member.compress_size == member.file_size
    return stored and one_size and not member.external_attr & FOLDER_ATTRIBUTE
