"""The digest of image files: what changes it, and what does not."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from torchvision.transforms import v2

from sweeper.data.decoding import Decoding
from sweeper.data.image_data import ImageData
from sweeper.data.image_folder import ImageFolder
from sweeper.data.voc import Voc
from sweeper.errors import DataError

CROP = {"train_transform": [v2.RandomCrop(8)], "eval_transform": [v2.CenterCrop(8)]}
MODES: list[dict[str, Any]] = [
    {"resident": True},
    {"resident": False},
    {"resident_limit_gib": 1e-9},
]


@pytest.fixture
def root(image_tree: Any) -> Path:
    folder: Path = image_tree({"elm": 6, "oak": 6})
    return folder


def folder(root: Path) -> ImageFolder:
    return ImageFolder(str(root), "rgb", 0.2)


def moved(root: Path) -> Path:
    """Move the files, with other times, as one who downloads them again."""
    copy = shutil.copytree(root, root.parent / "moved", copy_function=shutil.copyfile)
    shutil.rmtree(root)
    for path in copy.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    return copy


@pytest.mark.parametrize("settings", [{"image_size": 8}, CROP])
def test_place_time_and_mode_do_not_change_the_digest(
    root: Path, prepared: Any, settings: dict[str, Any]
) -> None:
    here = {prepared(folder(root), **settings, **mode).digest for mode in MODES}
    there = moved(root)
    assert {prepared(folder(there), **settings, **mode).digest for mode in MODES} == here
    assert len(here) == 1


def test_annotated_images_may_move_too(draw_voc: Any, tmp_path: Path, prepared: Any) -> None:
    def digest(root: Path, resident: bool) -> str:
        data: ImageData = prepared(
            Voc(str(root), 2012, False, False, 0.1), image_size=8, resident=resident
        )
        return data.digest

    root = draw_voc(tmp_path / "voc", train=6, val=3, test=3)
    here = digest(root, True)
    assert digest(root, False) == here
    assert digest(moved(root), False) == here


def lighter(root: Path) -> None:
    path = root / "elm/003.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the file has the same size
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def another_class(root: Path) -> None:
    (root / "elm/005.png").rename(root / "oak/!.png")


def another_name(root: Path) -> None:
    (root / "elm").rename(root / "ash")


@pytest.mark.parametrize("change", [lighter, another_class, another_name])
@pytest.mark.parametrize("resident", [True, False])
def test_contents_labels_and_classes_change_the_digest(
    root: Path, prepared: Any, resident: bool, change: Any
) -> None:
    settings = {"image_size": 8, "resident": resident}
    before = prepared(folder(root), **settings).digest
    change(root)
    assert prepared(folder(root), **settings).digest != before


@pytest.mark.parametrize("other", [{"resize": "squash"}, {"image_size": 9}, {"background": "red"}])
def test_the_settings_of_decoding_change_the_digest(
    root: Path, prepared: Any, other: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"image_size": 8, "resident": False}
    data = prepared(folder(root), **settings)
    assert prepared(folder(root), **settings | other).digest != data.digest


@pytest.mark.parametrize("resident", [True, False])
def test_the_files_are_read_for_the_digest_once(
    root: Path, prepared: Any, resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"image_size": 8, "resident": resident}
    digest = prepared(folder(root), **settings).digest

    def fail(*_: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("sweeper.data.file_source.digest_of_files", fail)
    assert prepared(folder(root), **settings).digest == digest


@pytest.mark.parametrize("damage", [b"", b"\xff", b"0" * 32 + b" 1"])
def test_a_damaged_digest_is_computed_again(
    root: Path, prepared: Any, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    digest = prepared(folder(root), image_size=8).digest
    for path in tmp_path.glob("cache/*/contents.txt"):
        path.write_bytes(damage)
    assert prepared(folder(root), image_size=8).digest == digest
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert prepared(folder(root), image_size=8).digest == digest
    assert len(caplog.records) == 2


def test_a_cache_that_cannot_be_written_is_told_once(
    root: Path, prepared: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    for seed in (1, 2):
        prepared(folder(root), image_size=8, resident=False, seed=seed)
    told = [message for message in caplog.messages if "read again by each run" in message]
    assert len(told) == 1
    assert f"since {tmp_path / 'cache'} cannot be written: " in told[0]


def test_a_file_that_cannot_be_read_is_named(root: Path, refuses: Any, prepared: Any) -> None:
    prepared(folder(root), image_size=8)
    split = folder(root).files()["train"].split(Decoding((8, 8)))
    (root / "elm/003.png").unlink()
    assert split.contents is not None
    with refuses(DataError, r"elm/003\.png cannot be read: No such file"):
        split.contents()
