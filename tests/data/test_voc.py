"""PASCAL VOC: lists, annotations, splits, downloads and errors."""

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
from torchvision.transforms import v2

from sweeper.data.decoding import Decoding
from sweeper.data.voc import Voc
from sweeper.data.voc_annotations import VOC_CLASSES, read_annotation
from sweeper.errors import ConfigError, DataError

CLASSES = ("circle", "square", "triangle")


@pytest.fixture(scope="module")
def voc_root(draw_voc: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small VOC tree that is shared; tests must not write to it."""
    return draw_voc(tmp_path_factory.mktemp("voc"), train=20, val=8, test=6)


@pytest.fixture
def tree(voc_root: Path, tmp_path: Path) -> Path:
    """Return a copy of the small tree that a test may change."""
    return shutil.copytree(voc_root, tmp_path / "tree", copy_function=shutil.copy2)


def source(root: Path, year: Any = 2012, **changed: Any) -> Voc:
    settings = {"download": False, "difficult": False, "test_fraction": 0.2}
    return Voc(str(root), year, **(settings | changed))


def inside(root: Path, path: str) -> Path:
    return root / "VOCdevkit/VOC2012" / path


def annotate(root: Path, split: str, name: str) -> None:
    """Give every image of the split one object, of the class `name`."""
    for path in inside(root, "Annotations").glob(f"{split}_*.xml"):
        path.write_text(f"<annotation><object><name>{name}</name></object></annotation>")


def labels_from_torchvision(root: Path, split: str) -> list[list[int]]:
    parsed = [target["annotation"]["object"] for _, target in VOCDetection(root, "2012", split)]
    easy = [{obj["name"] for obj in objects if obj["difficult"] == "0"} for objects in parsed]
    return [[int(name in names) for name in CLASSES] for names in easy]


def test_the_lists_are_the_splits_and_the_labels_equal_torchvisions(
    voc_root: Path, prepared: Any
) -> None:
    data = prepared(source(voc_root), image_size=16)
    assert (data.profile.classes, data.profile.label_type, data.profile.label_shape) == (
        CLASSES,
        "multilabel",
        (3,),
    )
    assert data.sizes == {"train": 20, "val": 8, "test": 6}
    assert data.profile.input_shape == (3, 16, 16)
    labels = torch.cat([labels for _, labels in data.val()])
    assert labels.dtype == torch.int64
    listed = labels_from_torchvision(voc_root, "val")
    assert labels.tolist() == [listed[i] for i in data.subsets["val"].indices.tolist()]
    expected = np.sum(labels_from_torchvision(voc_root, "train"), axis=0)
    assert list(data.profile.class_counts) == expected.tolist()


def test_pixels_equal_those_of_the_listed_image_cropped_by_torchvision(voc_root: Path) -> None:
    decoded = source(voc_root).files()["val"].split(Decoding((30, 30))).load()
    picture = Image.open(inside(voc_root, "JPEGImages/val_0003.jpg"))
    expected = np.array(v2.CenterCrop(30)(v2.Resize(30)(picture)))
    assert decoded.images[np.array([3])][0].transpose(1, 2, 0).tolist() == expected.tolist()


def test_an_annotation_is_the_dict_that_torchvision_gives(voc_root: Path) -> None:
    theirs = [target for _, target in VOCDetection(voc_root, "2012", "val")]
    files = [f"Annotations/{each}.xml" for each in inside(voc_root, LIST).read_text().split()]
    assert [read_annotation(inside(voc_root, file)) for file in files] == theirs
    boxed = next(source(voc_root).boxed_images())
    annotation = read_annotation(inside(voc_root, f"Annotations/{boxed.name}.xml"))
    objects = annotation["annotation"]["object"]
    assert [(box.name, str(int(box.left))) for box in boxed.boxes] == [
        (each["name"], each["bndbox"]["xmin"]) for each in objects
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotation/>", {"object": []}),
        ("<annotation>\n</annotation>", {"object": []}),
        ("<annotation>nothing</annotation>", {"object": []}),
        ("<annotation><object><name>a</name></object></annotation>", {"object": [{"name": "a"}]}),
        (
            "<annotation><size> <depth>3</depth> </size><t>a</t><t>b</t><empty/></annotation>",
            {"size": {"depth": "3"}, "t": ["a", "b"], "object": []},
        ),
    ],
)
def test_objects_are_a_list_and_repeated_tags_too(
    tmp_path: Path, text: str, expected: dict[str, Any]
) -> None:
    (tmp_path / "a.xml").write_text(text)
    assert read_annotation(tmp_path / "a.xml") == {"annotation": expected}
    if "</object>" in text or "<t>" in text:  # torchvision fails on the others, or gives a text
        assert voc.VOCDetection.parse_voc_xml(ElementTree.fromstring(text)) == {
            "annotation": expected
        }


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("<bndbox/>", "has an object without a name"),
        ("<name>cat</name><bndbox><xmin>nan</xmin></bndbox>", "the box of cat needs the numbers"),
        ("<name>cat</name><bndbox>4</bndbox>", "the box of cat needs the numbers xmin, ymin, xm"),
    ],
)
def test_an_unusable_box_is_named_in_one_line(
    tree: Path, inner: str, message: str, refuses: Any
) -> None:
    text = f"<annotation><object>{inner}</object></annotation>".replace(
        "<bndbox/>", "<bndbox><a>1</a></bndbox>"
    )
    inside(tree, "Annotations/train_0000.xml").write_text(text)
    with refuses(DataError, message):
        next(source(tree).boxed_images())


def test_without_the_data_no_image_has_boxes(tmp_path: Path) -> None:
    assert list(source(tmp_path).boxed_images()) == []


def test_difficult_objects_count_only_if_configured(tree: Path) -> None:
    annotation, hard = ElementTree.Element("annotation"), "<difficult>1</difficult>"
    for name, marks in (("circle", hard), ("square", ""), ("square", hard)):
        text = f"<object><name>{name}</name>{marks}</object>"
        annotation.append(ElementTree.fromstring(text))
    inside(tree, "Annotations/val_0000.xml").write_bytes(ElementTree.tostring(annotation))
    without, counted = (
        source(tree, difficult=difficult).files()["val"].labels()[0][0].tolist()
        for difficult in (False, True)
    )
    assert (without, counted) == ([0, 1, 0], [1, 1, 0])


def test_an_image_without_objects_has_no_class(tree: Path) -> None:
    inside(tree, "Annotations/val_0000.xml").write_text("<annotation/>")
    assert source(tree).files()["val"].labels()[0][0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("named", "classes"),
    [
        (("dog", "person", "cat"), VOC_CLASSES),
        (("dog", "person", "unicorn"), ("dog", "person", "unicorn")),
    ],
)
def test_a_part_of_voc_has_all_20_classes_and_other_data_only_its_own(
    tree: Path, named: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    for split, name in zip(("train", "val", "test"), named, strict=True):
        annotate(tree, split, name)
    for files in source(tree).files().values():
        assert files.labels()[1] == classes


def test_without_lists_val_depends_on_the_seed_and_test_does_not(tree: Path, prepared: Any) -> None:
    for split in ("val", "test"):
        inside(tree, f"ImageSets/Main/{split}.txt").unlink()
    settings = {"image_size": 8, "mean": [0.5] * 3, "std": [1.0] * 3}
    data = [prepared(source(tree), seed=seed, **settings) for seed in (1, 2)]
    assert data[0].sizes == {"train": 13, "val": 3, "test": 4}
    assert torch.equal(*(next(each.test())[0] for each in data))
    assert not torch.equal(*(next(each.val())[0] for each in data))
    assert not prepared(source(tree, test_fraction=0.0), image_size=8).has_test


def test_streaming_gives_the_same_batches(voc_root: Path, prepared: Any) -> None:
    streamed, resident = (
        prepared(source(voc_root), image_size=8, batch_size=4, resident=resident)
        for resident in (False, True)
    )
    for (images, labels), (other_images, other_labels) in zip(
        streamed.train(1), resident.train(1), strict=True
    ):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("file", ["JPEGImages/val_0001.jpg", "Annotations/test_0001.xml"])
def test_a_changed_file_is_read_again(tree: Path, prepared: Any, file: str, resident: bool) -> None:
    settings = {"image_size": 8, "resident": resident}
    before = prepared(source(tree), **settings).digest
    assert prepared(source(tree), **settings).digest == before
    if file.endswith(".xml"):
        inside(tree, file).write_text("<annotation/>")
    else:
        Image.new("RGB", (9, 9), "red").save(inside(tree, file))
    os.utime(inside(tree, file), ns=(1, 1))
    assert prepared(source(tree), **settings).digest != before


def test_a_streamed_tree_is_read_without_torchvision(voc_root: Path) -> None:
    code = (
        "import sys; from sweeper.data.decoding import Decoding; from sweeper.data.voc import Voc\n"
        f"source = Voc({str(voc_root)!r}, 2012, False, False, 0.1)\n"
        "split = source.files()['val'].split(Decoding((8, 8)))\n"
        "assert len(split.stream().labels) == 8\n"
        "assert not [m for m in sys.modules if m.startswith('torchvision')], 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def write(path: str, text: str | None) -> Any:
    """Return a function that writes a file of the tree, or removes it if the text is None."""

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
        (write(XML, "<html/>"), r"val_0001\.xml is not a VOC annotation: .* found <html>$"),
        (write(XML, "<annotation><object/></annotation>"), r"0001\.xml has an object without a"),
        (write(XML, None), r"Annotations/val_0001\.xml is missing, but a list .* names it$"),
        (without_objects, r"VOC2012/Annotations: no annotation has an object$"),
        (write(IMAGE, None), r"JPEGImages/val_0001\.jpg is missing"),
        (write(IMAGE, "not an image"), r"JPEGImages/val_0001\.jpg cannot be read as an image"),
        (truncated, r"JPEGImages/val_0001\.jpg cannot be read as an image"),
        (write("ImageSets/Main/train.txt", None), r"train\.txt cannot be read: No such file"),
        (write(LIST, "\n"), r"Main/val\.txt lists no image"),
        (write(LIST, "val_0001\nnowhere"), r"Annotations/nowhere\.xml is missing"),
        (write(LIST, "train_0001"), r"val\.txt lists train_0001, which \S*train\.txt lists alr"),
    ],
)
def test_an_unreadable_file_is_named_in_one_line(
    tree: Path, prepared: Any, damage: Any, message: str, refuses
) -> None:
    damage(tree)
    with refuses(DataError, message) as caught:
        prepared(source(tree), image_size=8)
    assert str(caught.value).startswith(str(tree))


@pytest.mark.parametrize("folder", ["Annotations", "JPEGImages", "ImageSets"])
def test_a_missing_folder_is_named(tree: Path, folder: str) -> None:
    shutil.rmtree(inside(tree, folder))
    with pytest.raises(DataError, match=rf"VOC2012/{folder}\S* cannot be read: No such file"):
        source(tree, download=True).files()


def test_a_list_that_is_not_text_is_named(tree: Path) -> None:
    inside(tree, LIST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"val\.txt is not a list of ids"):
        source(tree).files()


def test_a_single_image_cannot_be_held_out(draw_voc: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"type data\.test_fraction=0"):
        source(draw_voc(tmp_path, train=1)).files()


def test_image_size_is_required(voc_root: Path, prepared: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size=null"):
        prepared(source(voc_root), image_size=None)


def test_a_missing_year_is_an_error_with_what_to_type(tmp_path: Path) -> None:
    expected = r"expected a folder VOCdevkit/VOC2007 there; type data\.root=FOLDER"
    with pytest.raises(DataError, match=expected):
        source(tmp_path, 2007).files()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("year", range(2007, 2013))
def test_the_folder_of_every_year_is_that_of_torchvision(tmp_path: Path, year: int) -> None:
    folder = voc.DATASET_YEAR_DICT[str(year)]["base_dir"]
    with pytest.raises(DataError, match=f"expected a folder {folder} there"):
        source(tmp_path, year).files()


@pytest.fixture
def downloads(voc_root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the download by a copy of the small tree; return the requested years and splits."""
    requests: list[str] = []

    def download(root: Path, year: str, image_set: str, download: bool) -> None:
        assert download
        requests.append(f"{year} {image_set}")
        folder = Path(root) / voc.DATASET_YEAR_DICT[year]["base_dir"]
        shutil.copytree(inside(voc_root, ""), folder, dirs_exist_ok=True)

    monkeypatch.setattr("torchvision.datasets.VOCDetection", download)
    return requests


@pytest.mark.parametrize(
    ("year", "expected"),
    [(2012, ["2012 train"]), (2007, ["2007 train", "2007 test"]), (2011, None)],
)
def test_a_year_is_downloaded_completely_and_once(
    tmp_path: Path, downloads: list[str], year: int, expected: list[str] | None
) -> None:
    for _ in range(2):
        files = source(tmp_path / "root", year, download=True).files()
        assert len(files["val"].labels()[0]) == 8
    assert downloads == (expected or [f"{year} train"])
    assert [path.name for path in (tmp_path / "root").iterdir() if path.name[0] == "."] == []


def test_a_failed_download_is_one_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("File not found\nor corrupted.")

    monkeypatch.setattr("torchvision.datasets.VOCDetection", fail)
    with refuses(DataError, "could not be downloaded .* found or corrupted"):
        source(tmp_path / "root", download=True).files()
    assert list((tmp_path / "root").iterdir()) == []
