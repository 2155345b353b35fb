import errno
import os
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.data.decoding import Decoding
from sweeper.data.image_files import FileImages
from sweeper.data.image_folder import ImageFolder
from sweeper.errors import ConfigError, DataError


def source(root: Path, channels: Any = "rgb", test_fraction: float = 0.1) -> ImageFolder:
    return ImageFolder(str(root), channels, test_fraction)


def test_class_folders_without_split_folders_are_split_in_three(
    image_tree: Any, prepared: Any
) -> None:
    data = prepared(source(image_tree({"oak": 20, "elm": 10}), test_fraction=0.2), image_size=16)
    assert data.profile.classes == ("elm", "oak")
    assert data.sizes == {"train": 19, "val": 5, "test": 6}
    assert data.profile.input_shape == (3, 16, 16)
    assert sorted(torch.cat([y for _, y in data.test()]).tolist()) == [0, 0, 1, 1, 1, 1]


def test_folders_for_the_splits_are_used_as_they_are(image_tree: Any, prepared: Any) -> None:
    for name, count in (("train", 6), ("val", 3), ("test", 2)):
        root = image_tree({"oak": count, "elm": count}, f"trees/{name}").parent
    data = prepared(source(root), image_size=16)
    assert data.sizes == {"train": 12, "val": 6, "test": 4}


def test_without_a_test_folder_the_same_images_are_held_out_for_any_seed(
    image_tree: Any, prepared: Any
) -> None:
    for name, count in (("train", 10), ("val", 3)):
        root = image_tree({"oak": count, "elm": count}, f"trees/{name}").parent
    data = [prepared(source(root), image_size=16, seed=seed) for seed in (1, 2)]
    assert data[0].sizes == {"train": 18, "val": 6, "test": 2}
    first, second = (next(each.test())[0] for each in data)
    assert torch.equal(first, second)
    assert not prepared(source(root, test_fraction=0.0), image_size=16).has_test


@pytest.mark.parametrize(("channels", "count"), [("rgb", 3), ("gray", 1)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_images_of_any_mode_get_the_configured_channels(
    image_tree: Any, prepared: Any, channels: str, count: int, mode: str
) -> None:
    root = image_tree({"oak": 4, "elm": 4})
    for path in root.rglob("*.png"):
        Image.open(path).convert(mode).save(path)
    assert prepared(source(root, channels), image_size=8).profile.input_shape == (count, 8, 8)


def test_streaming_reads_the_files_and_gives_the_same_batches(
    image_tree: Any, prepared: Any, tmp_path: Path
) -> None:
    root = image_tree({"oak": 12, "elm": 12})
    settings = {"image_size": 8, "batch_size": 4}
    streamed = prepared(source(root), resident=False, **settings)
    assert not list((tmp_path / "cache").glob("*/images.npy"))
    assert list((tmp_path / "cache").glob("*/statistics-*.json"))
    resident = prepared(source(root), resident=True, **settings)
    for (images, labels), (other_images, other_labels) in zip(
        streamed.train(1), resident.train(1), strict=True
    ):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


def test_images_are_decoded_to_min_image_size(image_tree: Any, prepared: Any) -> None:
    data = prepared(source(image_tree({"oak": 4, "elm": 4})), image_size=8, min_image_size=20)
    assert data.profile.input_shape == (3, 20, 20)
    assert data.train_pipeline.steps == ()


def test_pixels_equal_those_resized_by_pillow(image_tree: Any) -> None:
    root = image_tree({"oak": 2, "elm": 2})
    files = source(root, test_fraction=0.0).files()["train"]
    decoded = files.split(Decoding((6, 6))).load()
    expected = Image.open(root / "oak" / "001.png").resize((6, 6), Image.Resampling.BILINEAR)
    assert (
        decoded.images[np.array([3])][0].transpose(1, 2, 0).tolist() == np.array(expected).tolist()
    )
    assert decoded.labels.tolist() == [0, 0, 1, 1]


def test_a_large_jpeg_decoded_at_reduced_scale_is_nearly_the_same(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    picture = Image.fromarray(np.stack([np.tile(ramp, (600, 1))] * 3, axis=-1))
    picture.save(tmp_path / "ramp.jpg", quality=95)
    squash = Decoding((16, 16), "squash")
    (pixels,) = FileImages((tmp_path / "ramp.jpg",), "RGB", squash)[np.array([0])]
    expected = np.array(picture.resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_streamed_file_damaged_after_its_header_is_named(
    image_tree: Any, prepared: Any, num_workers: int, refuses
) -> None:
    root = image_tree({"oak": 6, "elm": 6})
    truncated(root)
    settings = {"image_size": 8, "mean": [0.5] * 3, "std": [1.0] * 3, "num_workers": num_workers}
    data = prepared(source(root), resident=False, **settings)
    with refuses(DataError, r"^\S*elm/004\.png cannot be read as an image"):
        list(chain(data.train(0), data.val(), data.test()))


def test_hidden_files_and_other_files_are_ignored(image_tree: Any) -> None:
    root = image_tree({"oak": 3, "elm": 3})
    (root / "oak" / "._000.png").write_text("written by macOS")
    (root / "oak" / "notes.txt").write_text("not an image")
    (root / ".thumbnails").mkdir()
    labels, classes = source(root, test_fraction=0.0).files()["train"].labels()
    assert (len(labels), classes) == (6, ("elm", "oak"))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "tiff", "webp", "jfif", "ppm"])
def test_formats_are_mixed_below_nested_folders_of_any_name(
    tmp_path: Path, prepared: Any, suffix: str
) -> None:
    for label, mode in (("élan vital", "RGBA"), ("日本", "L")):
        folder = tmp_path / "root" / label / "a b" / "ü"
        folder.mkdir(parents=True)
        kind = "RGB" if suffix in ("jfif", "ppm") else mode
        for i, size in enumerate([(1, 1), (2000, 20), (9, 12)]):
            picture = Image.new(mode, size, "red" if mode == "RGBA" else 7)
            picture.convert(kind).save(folder / f"photo {i}.{suffix}")
    statistics = {"mean": [0.0] * 3, "std": [1.0] * 3}
    data = prepared(source(tmp_path / "root", test_fraction=0.0), image_size=8, **statistics)
    assert data.profile.classes == ("élan vital", "日本")
    assert sum(data.sizes.values()) == 6
    colours = torch.tensor([[255.0, 0, 0], [7, 7, 7]])
    for images, labels in [*data.unaugmented_train(), *data.val()]:
        expected = colours[labels].view(-1, 3, 1, 1)
        torch.testing.assert_close(images * 255, expected.expand_as(images), atol=2, rtol=0)


@pytest.mark.parametrize(("name", "told"), [("shot.HEIC", 1), ("notes.txt", 0), ("Thumbs.db", 0)])
def test_images_that_cannot_be_read_are_told_of(
    image_tree: Any, caplog: pytest.LogCaptureFixture, name: str, told: int
) -> None:
    root = image_tree({"oak": 2, "elm": 2})
    (root / "oak" / name).write_bytes(b"no image")
    (root / "oak" / ".DS_Store").write_bytes(b"no image")
    assert len(source(root, test_fraction=0.0).files()["train"].paths) == 4
    assert caplog.text.count(f"images such as {name} are not read (1 below {root / 'oak'})") == told
    assert len(caplog.records) == told


def test_a_changed_file_is_decoded_again(image_tree: Any, prepared: Any) -> None:
    root = image_tree({"oak": 4, "elm": 4})
    before = prepared(source(root), image_size=8).digest
    assert prepared(source(root), image_size=8).digest == before
    path = root / "elm" / "000.png"
    Image.new("RGB", (9, 9), "red").save(path)
    os.utime(path, ns=(1, 1))
    assert prepared(source(root), image_size=8).digest != before


def empty(root: Path) -> None:
    (root / "yew").mkdir()


def text(root: Path) -> None:
    (root / "elm" / "999.png").write_text("not an image")


def truncated(root: Path) -> None:
    data = (root / "elm" / "004.png").read_bytes()
    (root / "elm" / "004.png").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("damage", "resident", "message"),
    [
        (empty, True, r"yew contains no image"),
        (text, True, r"elm/999\.png cannot be read as an image"),
        (text, False, r"elm/999\.png cannot be read as an image"),
        (truncated, True, r"elm/004\.png cannot be read as an image"),
    ],
)
def test_an_unreadable_file_or_folder_is_named(
    image_tree: Any, prepared: Any, damage: Any, resident: bool, message: str, refuses
) -> None:
    root = image_tree({"oak": 6, "elm": 6})
    damage(root)
    with refuses(DataError, message):
        prepared(source(root), image_size=8, resident=resident)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"oak": 3}, r"has 1 class folder: .*data\.root=FOLDER$"),
        ({"oak": 1, "elm": 1}, "test_fraction=0"),
    ],
)
def test_too_few_classes_or_images_are_an_error(
    image_tree: Any, prepared: Any, counts: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepared(source(image_tree(counts)), image_size=8)


def test_a_folder_around_the_class_folders_is_told_of(image_tree: Any, prepared: Any) -> None:
    root = image_tree({"oak": 3, "elm": 3}, "trees/trees")
    with pytest.raises(DataError, match=rf"has 1 class folder: .* type data\.root={root}$"):
        prepared(source(root.parent), image_size=8)


def test_a_missing_root_is_named_with_what_to_type(prepared: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is not a folder; type data\.root=FOLDER"):
        prepared(source(tmp_path / "nowhere"), image_size=8)


def test_a_class_unknown_to_training_is_named(image_tree: Any, prepared: Any) -> None:
    root = image_tree({"oak": 3, "elm": 3}, "trees/train").parent
    image_tree({"yew": 3}, "trees/val")
    with pytest.raises(DataError, match=r"val/yew is a class that the train folder does not have"):
        prepared(source(root), image_size=8)


@pytest.mark.parametrize("folder", [".", "oak", "oak/more"])
def test_a_folder_that_cannot_be_read_is_named(
    image_tree: Any, prepared: Any, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    root = image_tree({"oak": 3, "elm": 3, "oak/more": 3})
    scandir, listdir = os.scandir, os.listdir
    closed = os.path.normpath(root / folder)

    def refusing(function: Any) -> Any:
        def called(path: Any = ".") -> Any:
            if os.fspath(path) == closed:
                raise PermissionError(errno.EACCES, "Permission denied", closed)
            return function(path)

        return called

    monkeypatch.setattr(os, "scandir", refusing(scandir))
    monkeypatch.setattr(os, "listdir", refusing(listdir))
    with pytest.raises(DataError, match=rf"^{closed} cannot be read: Permission denied$"):
        prepared(source(root), image_size=8)


def test_image_size_is_required(image_tree: Any, prepared: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size=null"):
        prepared(source(image_tree({"oak": 3, "elm": 3})), image_size=None)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["val", "test"], "has a folder test, but none called train"),
        (["Testing", "Training"], "has a folder Testing, but none .*; call the folders of the spl"),
        (["train", "valid"], "valid is not a split"),
    ],
)
def test_ambiguous_folder_names_are_an_error(tmp_path, folders, message) -> None:
    for split in folders:
        for name in ("elm", "oak"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / split / name / "0.png")
    with pytest.raises(DataError, match=message):
        ImageFolder(str(tmp_path), "gray", 0.1).files()


def test_16_bit_levels_are_scaled_and_hidden_folders_ignored(tmp_path) -> None:
    levels = np.array([[0, 255], [256, 65535]], dtype=np.uint16)
    for name in ("elm", "oak"):
        (tmp_path / name / ".thumbs").mkdir(parents=True)
        (tmp_path / name / "folder.png").mkdir()
        Image.fromarray(levels).save(tmp_path / name / "0.png")
        Image.fromarray(levels).save(tmp_path / name / ".thumbs/1.png")
    files = ImageFolder(str(tmp_path), "gray", 0.0).files()["train"]
    train = files.split(Decoding((2, 2))).load()
    assert train.images[np.array([0, 1])][:, 0].tolist() == 2 * [[[0, 0], [1, 255]]]


def test_16_bit_levels_are_scaled_in_png_and_pgm(tmp_path: Path) -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    header = b"P5 16 16 65535\n"
    (tmp_path / "ramp.pgm").write_bytes(header + ramp.astype(">u2").tobytes())
    paths = tuple(tmp_path / f"ramp.{suffix}" for suffix in ("png", "pgm"))
    images = FileImages(paths, "L", Decoding((16, 16)))[np.arange(2)]
    assert images[0].ravel().tolist() == images[1].ravel().tolist() == list(range(256))
