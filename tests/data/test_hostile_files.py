"""Files of a data set that came from someone else: bombs, links, entities and pickles."""

import json
import os
import pickle
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweeper.data.cache import _checksum, open_cached
from sweeper.data.decoding import Decoding
from sweeper.data.image_files import FORMATS, SUFFIXES, FileImages
from sweeper.data.image_folder import ImageFolder
from sweeper.data.voc_annotations import Annotations
from sweeper.errors import DataError


def png(width: int, height: int) -> bytes:
    """Return a PNG file of a few kilobytes with that many black pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(9))  # a decoder makes room for all of them first
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 1), (1, 2**31 - 1)])
def test_an_image_that_would_fill_the_memory_is_refused_by_its_header(
    tmp_path: Path, size: tuple[int, int], refuses: Any
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    files = FileImages((path,), "RGB", Decoding((8, 8)))
    started = time.process_time()
    for read in (files.check_headers, lambda: files[np.array([0])]):
        with refuses(DataError, r"bomb\.png cannot be read as an image: .*decompression bomb"):
            read()
    assert time.process_time() - started < 1


def test_a_text_that_would_fill_the_memory_is_not_decompressed(
    tmp_path: Path, refuses: Any
) -> None:
    data = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(10**8), 9)
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    whole = png(8, 8)
    (tmp_path / "text.png").write_bytes(whole[:33] + chunk + whole[33:])
    with refuses(DataError, r"text\.png cannot be read as an image"):
        FileImages((tmp_path / "text.png",), "L", Decoding((8, 8)))[np.array([0])]


def test_a_file_goes_to_no_decoder_that_starts_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    """Pillow's decoder of EPS starts Ghostscript. A JPEG that is called PNG is common."""
    for name, kind in (("a.png", "EPS"), ("b.png", "JPEG")):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name, kind)
    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile.load", None)
    files = FileImages((tmp_path / "a.png", tmp_path / "b.png"), "RGB", Decoding((8, 8)))
    with refuses(DataError, r"a\.png cannot be read as an image: it has none .* JPEG, PNG"):
        files[np.array([0])]
    assert files[np.array([1])].shape == (1, 3, 8, 8)


def test_every_suffix_has_its_format() -> None:
    formats = Image.registered_extensions()
    assert {formats[suffix] for suffix in SUFFIXES} <= set(FORMATS)


@pytest.mark.parametrize("kind", sorted({*FORMATS, "JPEG2000", "ICO", "TGA", "PCX"}))
def test_a_file_of_every_format_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    Image.new("RGB", (32, 32), "red").save(path, kind)
    [picture] = FileImages((path,), "RGB", Decoding((8, 8)))[np.array([0])]
    red = np.array([255, 0, 0]).reshape(3, 1, 1)
    assert np.abs(picture - red).max() <= 4


def test_damaged_files_of_every_format_are_named(tmp_path: Path, refuses: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for kind in FORMATS:
        path = tmp_path / f"a.{kind.lower()}"
        Image.fromarray(noise).save(path, kind)
        intact, failed = path.read_bytes(), 0
        for place in range(0, len(intact), 1 + len(intact) // 100):
            path.write_bytes(intact[:place] + bytes([intact[place] ^ 0xFF]) + intact[place + 1 :])
            try:
                FileImages((path,), "RGB", Decoding((8, 8)))[np.array([0])]
            except DataError as error:
                failed += str(error).startswith(f"{path} cannot be read as an image")
        assert failed


def trees(root: Path) -> ImageFolder:
    return ImageFolder(str(root), "rgb", 0.0)


def test_links_to_images_and_to_class_folders_are_followed(
    image_tree: Any, prepared: Any, tmp_path: Path
) -> None:
    """A data set of links is common: it takes some images of a larger one without copies."""
    real, root = image_tree({"oak": 4, "elm": 4}), tmp_path / "links"
    (root / "oak").mkdir(parents=True)
    for path in (real / "oak").iterdir():
        (root / "oak" / path.name).symlink_to(path)
    (root / "elm").symlink_to(real / "elm")
    linked, copied = prepared(trees(root), image_size=8), prepared(trees(real), image_size=8)
    assert linked.digest == copied.digest
    Image.new("RGB", (9, 9), "red").save(real / "oak/000.png")
    os.utime(real / "oak/000.png", ns=(1, 1))
    assert prepared(trees(root), image_size=8).digest != linked.digest


def test_a_link_to_a_missing_image_is_named(image_tree: Any, prepared: Any, refuses: Any) -> None:
    root = image_tree({"oak": 4, "elm": 4})
    (root / "elm/lost.png").symlink_to(root / "nowhere.png")
    with refuses(DataError, r"elm/lost\.png is a link to a file that does not exist"):
        prepared(trees(root), image_size=8)


@pytest.mark.parametrize(
    ("counts", "link"),
    [({"oak": 4, "elm": 4}, "yew"), ({"oak": 4, "elm": 4}, "003.Sooty_Albatross"), ({}, "test")],
)
def test_a_link_to_a_missing_class_or_split_is_named(
    image_tree: Any, prepared: Any, refuses: Any, counts: dict[str, int], link: str
) -> None:
    """The data would be trained on without the class, or tested on a part of the training split."""
    root = image_tree(counts or {"train/oak": 4, "train/elm": 4})
    (root / link).symlink_to(root / "nowhere")
    with refuses(DataError, rf"{link} is a link that leads nowhere; mend it, or remove it"):
        prepared(trees(root), image_size=8)


def test_a_link_to_a_missing_file_beside_the_classes_is_passed_over(
    image_tree: Any, prepared: Any
) -> None:
    """So are the links of a data set of git-annex whose files were not fetched."""
    root = image_tree({"oak": 4, "elm": 4})
    (root / "labels.csv").symlink_to(root / "nowhere")
    assert prepared(trees(root), image_size=8).profile.classes == ("elm", "oak")


def test_a_link_to_another_kind_of_file_is_read_as_an_image_alone(
    image_tree: Any, prepared: Any, tmp_path: Path, refuses: Any
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("5ecret")
    root = image_tree({"oak": 4, "elm": 4})
    (root / "elm/zzz.png").symlink_to(secret)
    with refuses(DataError, r"elm/zzz\.png cannot be read as an image") as caught:
        prepared(trees(root), image_size=8)
    assert "5ecret" not in str(caught.value)


def test_folders_that_link_to_each_other_are_read_once(
    image_tree: Any, prepared: Any, caplog: pytest.LogCaptureFixture
) -> None:
    root = image_tree({"oak": 4, "elm": 4})
    (root / "elm/around").symlink_to(root, target_is_directory=True)
    assert sum(prepared(trees(root), image_size=8).sizes.values()) == 8
    assert caplog.text.count("elm/around is a link to a folder, and is not read") == 1


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("entities of entities", f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]>NAME'),
        ("a file", '<!DOCTYPE a [<!ENTITY l11 SYSTEM "file://SECRET">]>NAME'),
        ("a parameter", '<!DOCTYPE a [<!ENTITY % p SYSTEM "file://SECRET"> %p;]>NAME'),
        ("an address", '<!DOCTYPE a [<!ENTITY l11 SYSTEM "http://127.0.0.1:1/">]>NAME'),
    ],
)
def test_entities_of_an_annotation_are_not_expanded(
    tmp_path: Path, name: str, text: str, refuses: Any
) -> None:
    secret, path = tmp_path / "secret", tmp_path / "a.xml"
    secret.write_text("5ecret")
    named = "<annotation><object><name>&l11;</name></object></annotation>"
    path.write_text(text.replace("SECRET", str(secret)).replace("NAME", named))
    started = time.process_time()
    with refuses(DataError, r"a\.xml cannot be read as XML") as caught:
        Annotations({"a": path}).labels(["a"], difficult=True)
    assert "5ecret" not in str(caught.value)
    assert time.process_time() - started < 2


def test_an_annotation_of_many_levels_is_read(tmp_path: Path) -> None:
    levels = 100_000
    inner = "<part>" * levels + "</part>" * levels
    named = f"<annotation><object><name>oak</name>{inner}</object></annotation>"
    (tmp_path / "a.xml").write_text(named)
    assert Annotations({"a": tmp_path / "a.xml"}).classes == ("oak",)


def sign(folder: Path) -> None:
    """Write the checksum that a forged cache must have."""
    meta = json.loads((folder / "meta.json").read_text())
    meta["crc32"] = _checksum(folder, meta)
    (folder / "meta.json").write_text(json.dumps(meta))


class Opens:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickled(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Opens(marker)))


def array_of_objects(path: Path, marker: Path) -> None:
    np.save(path, np.array([Opens(marker)] * 90, dtype=object), allow_pickle=True)


def archive(path: Path, marker: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.array([Opens(marker)], dtype=object))


def huge(path: Path, marker: Path) -> None:
    header = {"descr": "<i8", "fortran_order": False, "shape": (2**50,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize("file", ["images.npy", "labels.npy"])
@pytest.mark.parametrize("forge", [pickled, array_of_objects, archive, huge])
@pytest.mark.parametrize("checksum_fits", [False, True])
def test_a_forged_cache_is_rebuilt_and_runs_no_code(
    source: Any, tmp_path: Path, caplog: Any, file: str, forge: Any, checksum_fits: bool
) -> None:
    split, marker = source.splits(None)["train"], tmp_path / "marker"
    folder = open_cached("arrays", split, tmp_path / "cache").cache_folder
    forge(folder / file, marker)
    if checksum_fits:
        sign(folder)
    opened = open_cached("arrays", split, tmp_path / "cache")
    assert np.array_equal(opened.images, split.load().images)
    assert np.array_equal(opened.labels, split.load().labels)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "is damaged and will be rebuilt" in line
    assert "\n" not in line
    assert not marker.exists()
