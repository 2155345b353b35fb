"""PASCAL VOC (Everingham et al., "The PASCAL Visual Object Classes Challenge", 2010)."""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from sweeper.data import voc_lists
from sweeper.data.describe import Description
from sweeper.data.file_source import LabelledFiles, Labels
from sweeper.data.framing import Size
from sweeper.data.source import fingerprint, required_size
from sweeper.data.voc_annotations import (
    VOC_CLASSES,
    Annotations,
    BoxedImage,
    boxes_of,
    read_annotation,
)
from sweeper.data.voc_lists import Ids
from sweeper.errors import DataError
from sweeper.files import scratch_folder
from sweeper.objectives import LabelType
from sweeper.schema import Probability
from sweeper.text import in_one_line


class Voc:
    """Images of any size with annotated objects; the labels are the classes of the objects.

    The splits are the lists in `ImageSets/Main`: `train`, and `val` and `test` if they exist.
    Unless `difficult` is true, objects that are marked difficult do not count: an image whose
    only objects of a class are difficult is a negative example of it. (VOC's own evaluation
    leaves such an image out for the class.)
    """

    name = "voc"
    label_type: LabelType = "multilabel"

    def __init__(
        self,
        root: str,
        year: Literal[2007, 2008, 2009, 2010, 2011, 2012],
        download: bool,
        difficult: bool,
        test_fraction: Probability,
    ) -> None:
        self._root = Path(root).expanduser().absolute()
        self._year = year
        # Only the archive of 2011 has another folder around VOCdevkit.
        self._year_folder = f"{'TrainVal/' if year == 2011 else ''}VOCdevkit/VOC{year}"
        self._download = download
        self._difficult = difficult
        self._test_fraction = test_fraction

    def describe(self, image_size: int | Size | None) -> Description:
        """Describe the images; before the download, with the 20 classes of VOC.

        Raises:
            ConfigError: `image_size` is None.
            DataError: a list or an annotation is missing or damaged.
        """
        size = required_size(self.name, image_size)
        if not self._folder.is_dir():
            return Description((3, *size), len(VOC_CLASSES))
        annotations = self._annotations(self._ids_by_split())
        return Description((3, *size), len(annotations.classes))

    def files(self) -> dict[str, LabelledFiles]:
        """Return `train`, and `val` and `test` if they are listed; download a missing year first.

        Raises:
            DataError: a file is missing, an image is listed twice, or the download fails.
        """
        self._fetch_missing()
        ids_by_split = self._ids_by_split()
        annotations = self._annotations(ids_by_split)
        # Each split depends on the annotations of all splits, because they define its classes.
        key = {"source": self.name, "difficult": self._difficult}
        annotations_key = fingerprint(key, annotations.files.values())
        return {
            name: self._labelled(ids, annotations, annotations_key)
            for name, ids in ids_by_split.items()
        }

    def boxed_images(self) -> Iterator[BoxedImage]:
        """Yield the training images with their boxes; nothing if the data is not there.

        Raises:
            DataError: a file is missing or damaged.
        """
        if not self._folder.is_dir():
            return
        ids = self._ids_by_split()["train"]
        paths = voc_lists.image_files(self._folder / "JPEGImages", ids)
        files = voc_lists.annotation_files(self._folder / "Annotations", ids)
        for image_id, path, file in zip(ids, paths, files, strict=True):
            yield BoxedImage(image_id, path, boxes_of(read_annotation(file), file))

    def _ids_by_split(self) -> dict[str, Ids]:
        return voc_lists.ids_by_split(self._folder, self._test_fraction)

    def _annotations(self, ids_by_split: Mapping[str, Ids]) -> Annotations:
        ids = [image_id for split_ids in ids_by_split.values() for image_id in split_ids]
        files = voc_lists.annotation_files(self._folder / "Annotations", ids)
        return Annotations(dict(zip(ids, files, strict=True)))

    def _labelled(self, ids: Ids, annotations: Annotations, annotations_key: str) -> LabelledFiles:
        paths = voc_lists.image_files(self._folder / "JPEGImages", ids)

        def labels() -> Labels:
            return annotations.labels(ids, self._difficult), annotations.classes

        return LabelledFiles(paths, "RGB", labels, {"annotations": annotations_key})

    @property
    def _folder(self) -> Path:
        return self._root / self._year_folder

    def _fetch_missing(self) -> None:
        """Download the year if its folder does not exist.

        A folder with missing files is not completed, because it may hold the user's own data.
        """
        if self._folder.is_dir():
            return
        if not self._download:
            raise DataError(
                f"data=voc is not in {self._root}: expected a folder {self._year_folder} there; "
                f"type data.root=FOLDER for a folder that contains it, or data.download=true"
            )
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            # Downloaded beside its final path and moved as a whole, so it is never incomplete.
            with scratch_folder(self._root) as partial:
                self._fetch(partial)
        except (OSError, RuntimeError, ValueError, EOFError, tarfile.TarError) as error:
            reason = in_one_line(error)
            raise DataError(
                f"data=voc could not be downloaded to {self._root}: {reason}; "
                f"type data.root=FOLDER for a folder that contains {self._year_folder}"
            ) from error

    def _fetch(self, partial: Path) -> None:
        from torchvision.datasets import VOCDetection  # slow, not needed after the download

        # Only 2007 has annotated test images; they are in a separate archive.
        for image_set in ("train", "test") if self._year == 2007 else ("train",):
            VOCDetection(partial, str(self._year), image_set, download=True)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        (partial / self._year_folder).replace(self._folder)
