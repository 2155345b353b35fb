"""Sets of classes from annotation files: what is read, split, downloaded and refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import VOCDetection, voc

from sweeper.data.voc import Voc
from sweeper.data.voc_annotations import VOC_CLASSES
from sweeper.errors import ConfigError, DataError

CLASSES = ("circle", "square", "triangle")


@pytest.fixture(scope="module")
def drawn(draw_voc: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tree; not to be written into."""
    return draw_voc(tmp_path_factory.mktemp("drawn"), train=20, val=8, test=6)


@pytest.fixture
def tree(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the small tree."""
    return shutil.copytree(drawn, tmp_path / "tree", copy_function=shutil.copy2)


def source(root: Path, year: Any = 2012, **given: Any) -> Voc:
    settings = {"download": False, "difficult": False, "test_fraction": 0.2}
    return Voc(str(root), year, **(settings | given))


def inside(root: Path, path: str) -> Path:
    return root / "VOCdevkit/VOC2012" / path


def annotate(root: Path, split: str, name: str) -> None:
    """Say of every picture of the split that it has one object."""
    for path in inside(root, "Annotations").glob(f"{split}_*.xml"):
        path.write_text(f"<annotation><object><name>{name}</name></object></annotation>")


def seen_by_torchvision(root: Path, split: str) -> list[list[int]]:
    parsed = [target["annotation"]["object"] for _, target in VOCDetection(root, "2012", split)]
    there = [{one["name"] for one in each if one["difficult"] == "0"} for each in parsed]
    return [[int(name in names) for name in CLASSES] for names in there]


def test_the_lists_are_the_splits_and_labels_the_classes_in_a_picture(
    drawn: Path, prepared: Any
) -> None:
    data = prepared(source(drawn), image_size=16)
    assert (data.profile.classes, data.profile.label_type, data.profile.label_shape) == (
        CLASSES,
        "multilabel",
        (3,),
    )
    assert data.sizes == {"train": 20, "val": 8, "test": 6}
    assert data.profile.input_shape == (3, 16, 16)
    labels = torch.cat([labels for _, labels in data.val()])
    assert labels.dtype == torch.int64
    listed = seen_by_torchvision(drawn, "val")
    assert labels.tolist() == [listed[i] for i in data.subsets["val"].indices.tolist()]
    expected = np.sum(seen_by_torchvision(drawn, "train"), axis=0)
    assert list(data.profile.class_counts) == expected.tolist()


def test_pixels_are_pillows_resized_ones_of_the_listed_picture(drawn: Path) -> None:
    decoded = source(drawn).splits(30)["val"].load()
    picture = Image.open(inside(drawn, "JPEGImages/val_0003.jpg"))
    expected = np.array(picture.resize((30, 30), Image.Resampling.BILINEAR))
    assert decoded.images[np.array([3])][0].transpose(1, 2, 0).tolist() == expected.tolist()


def test_difficult_objects_count_when_asked(tree: Path) -> None:
    easy, hard = ElementTree.Element("annotation"), "<difficult>1</difficult>"
    for name, marks in (("circle", hard), ("square", ""), ("square", hard)):
        text = f"<object><name>{name}</name>{marks}</object>"
        easy.append(ElementTree.fromstring(text))
    inside(tree, "Annotations/val_0000.xml").write_bytes(ElementTree.tostring(easy))
    without, counted = (
        source(tree, difficult=difficult).splits(8)["val"].load().labels[0].tolist()
        for difficult in (False, True)
    )
    assert (without, counted) == ([0, 1, 0], [1, 1, 0])


def test_a_picture_without_objects_has_no_class(tree: Path) -> None:
    inside(tree, "Annotations/val_0000.xml").write_text("<annotation/>")
    assert source(tree).splits(8)["val"].load().labels[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("named", "classes"),
    [
        (("dog", "person", "cat"), VOC_CLASSES),
        (("dog", "person", "unicorn"), ("dog", "person", "unicorn")),
    ],
)
def test_a_part_of_voc_has_all_of_its_classes_and_any_other_tree_its_own(
    tree: Path, named: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    for split, name in zip(("train", "val", "test"), named, strict=True):
        annotate(tree, split, name)
    for split in source(tree).splits(8).values():
        assert split.load().classes == classes


def test_without_a_list_val_is_drawn_by_seed_and_test_is_the_same_for_any(
    tree: Path, prepared: Any
) -> None:
    for split in ("val", "test"):
        inside(tree, f"ImageSets/Main/{split}.txt").unlink()
    settings = {"image_size": 8, "mean": [0.5] * 3, "std": [1.0] * 3}
    data = [prepared(source(tree), seed=seed, **settings) for seed in (1, 2)]
    assert data[0].sizes == {"train": 13, "val": 3, "test": 4}
    assert torch.equal(*(next(each.test())[0] for each in data))
    assert not torch.equal(*(next(each.val())[0] for each in data))
    assert not prepared(source(tree, test_fraction=0.0), image_size=8).has_test


def test_streaming_gives_the_same_batches(drawn: Path, prepared: Any) -> None:
    streamed, resident = (
        prepared(source(drawn), image_size=8, batch_size=4, resident=resident)
        for resident in (False, True)
    )
    for (images, labels), (others, same) in zip(streamed.train(1), resident.train(1), strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, same)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("file", ["JPEGImages/val_0001.jpg", "Annotations/test_0001.xml"])
def test_a_changed_file_is_read_anew(tree: Path, prepared: Any, file: str, resident: bool) -> None:
    settings = {"image_size": 8, "resident": resident}
    before = prepared(source(tree), **settings).digest
    assert prepared(source(tree), **settings).digest == before
    if file.endswith(".xml"):
        inside(tree, file).write_text("<annotation/>")
    else:
        Image.new("RGB", (9, 9), "red").save(inside(tree, file))
    os.utime(inside(tree, file), ns=(1, 1))
    assert prepared(source(tree), **settings).digest != before


def test_a_streamed_tree_is_read_without_torchvision(drawn: Path) -> None:
    code = (
        "import sys; from sweeper.data.voc import Voc\n"
        f"source = Voc({str(drawn)!r}, 2012, False, False, 0.1)\n"
        "assert len(source.splits(8)['val'].stream().labels) == 8\n"
        "assert not [m for m in sys.modules if m.startswith('torchvision')], 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def write(path: str, text: str | None) -> Any:
    """Return what writes a file of the tree, or removes it."""

    def damage(root: Path) -> None:
        if text is None:
            inside(root, path).unlink()
        else:
            inside(root, path).write_text(text)

    return damage


def truncated(root: Path) -> None:
    path = inside(root, "JPEGImages/val_0001.jpg")
    path.write_bytes(path.read_bytes()[:700])


def without_objects(root: Path) -> None:
    for path in inside(root, "Annotations").iterdir():
        path.write_text("<annotation/>")


XML, LIST, IMAGE = "Annotations/val_0001.xml", "ImageSets/Main/val.txt", "JPEGImages/val_0001.jpg"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (write(XML, "<annotation><object>"), r"val_0001\.xml cannot be read as XML: no element"),
        (write(XML, "<html/>"), r"val_0001\.xml is no VOC annotation: .* found <html>$"),
        (write(XML, "<annotation><object/></annotation>"), r"0001\.xml has an object without a"),
        (write(XML, None), r"Annotations/val_0001\.xml is missing, and a list .* names it$"),
        (without_objects, r"VOC2012/Annotations: there is no object in any annotation$"),
        (write(IMAGE, None), r"JPEGImages/val_0001\.jpg is missing"),
        (write(IMAGE, "not an image"), r"JPEGImages/val_0001\.jpg cannot be read as an image"),
        (truncated, r"JPEGImages/val_0001\.jpg cannot be read as an image"),
        (write("ImageSets/Main/train.txt", None), r"train\.txt cannot be read: No such file"),
        (write(LIST, "\n"), r"Main/val\.txt lists no image"),
        (write(LIST, "val_0001\nnowhere"), r"Annotations/nowhere\.xml is missing"),
        (write(LIST, "train_0001"), r"val\.txt lists train_0001, which \S*train\.txt lists alr"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    tree: Path, prepared: Any, damage: Any, message: str, refuses
) -> None:
    damage(tree)
    with refuses(DataError, message) as caught:
        prepared(source(tree), image_size=8)
    assert str(caught.value).startswith(str(tree))


@pytest.mark.parametrize("folder", ["Annotations", "JPEGImages", "ImageSets"])
def test_a_folder_that_lacks_is_named(tree: Path, folder: str) -> None:
    shutil.rmtree(inside(tree, folder))
    with pytest.raises(DataError, match=rf"VOC2012/{folder}\S* cannot be read: No such file"):
        source(tree, download=True).splits(8)


def test_a_list_that_is_no_text_is_named(tree: Path) -> None:
    inside(tree, LIST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"val\.txt is no list of ids"):
        source(tree).splits(8)


def test_a_single_picture_cannot_be_held_out(draw_voc: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"type data\.test_fraction=0"):
        source(draw_voc(tmp_path, train=1)).splits(8)


def test_a_size_is_needed(drawn: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size=null"):
        source(drawn).splits(None)


def test_a_year_that_is_not_there_says_what_to_type(tmp_path: Path) -> None:
    expected = r"expected a folder VOCdevkit/VOC2007 there, type data\.root=FOLDER"
    with pytest.raises(DataError, match=expected):
        source(tmp_path, 2007).splits(8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("year", range(2007, 2013))
def test_every_year_lies_where_torchvision_puts_it(tmp_path: Path, year: int) -> None:
    place = voc.DATASET_YEAR_DICT[str(year)]["base_dir"]
    with pytest.raises(DataError, match=f"expected a folder {place} there"):
        source(tmp_path, year).splits(8)


@pytest.fixture
def downloads(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a copy of the small tree in the place of a download, and note what is asked for."""
    asked: list[str] = []

    def download(root: Path, year: str, image_set: str, download: bool) -> None:
        assert download
        asked.append(f"{year} {image_set}")
        place = Path(root) / voc.DATASET_YEAR_DICT[year]["base_dir"]
        shutil.copytree(inside(drawn, ""), place, dirs_exist_ok=True)

    monkeypatch.setattr("torchvision.datasets.VOCDetection", download)
    return asked


@pytest.mark.parametrize(
    ("year", "asked"), [(2012, ["2012 train"]), (2007, ["2007 train", "2007 test"]), (2011, None)]
)
def test_a_download_arrives_whole_and_once(
    tmp_path: Path, downloads: list[str], year: int, asked: list[str] | None
) -> None:
    for _ in range(2):
        splits = source(tmp_path / "root", year, download=True).splits(8)
        assert len(splits["val"].load().labels) == 8
    assert downloads == (asked or [f"{year} train"])
    assert [path.name for path in (tmp_path / "root").iterdir() if path.name[0] == "."] == []


def test_a_failed_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("File not found\nor corrupted.")

    monkeypatch.setattr("torchvision.datasets.VOCDetection", fail)
    with refuses(DataError, "could not be downloaded .* found or corrupted"):
        source(tmp_path / "root", download=True).splits(8)
    assert list((tmp_path / "root").iterdir()) == []
