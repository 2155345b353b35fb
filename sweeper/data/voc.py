"""PASCAL VOC (Everingham et al., "The PASCAL Visual Object Classes Challenge", 2010)."""

import tarfile
import tempfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Literal

from sweeper.data import voc_lists
from sweeper.data.describe import Description
from sweeper.data.image_files import FileImages
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.data.voc_annotations import VOC_CLASSES, Annotations
from sweeper.data.voc_lists import Ids
from sweeper.errors import ConfigError, DataError
from sweeper.objectives import LabelType
from sweeper.schema import Probability
from sweeper.text import in_one_line


class Voc:
    """Pictures of any size with annotated objects, read as which classes are in a picture.

    The splits are those of `ImageSets/Main`: `train`, and `val` and `test` where they are listed.
    Objects that are marked difficult do not count by default: a class that only they have is not
    in the picture. (VOC's own evaluation leaves such a picture out for the class.)
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
        # The archive of 2011 alone has a folder around it.
        self._place = f"{'TrainVal/' if year == 2011 else ''}VOCdevkit/VOC{year}"
        self._download = download
        self._difficult = difficult
        self._test_fraction = test_fraction

    def describe(self, image_size: int | None) -> Description:
        """The classes of the annotations, or the twenty of VOC where there are none yet."""
        size = _required(image_size)
        if not self._folder.is_dir():
            return Description((3, size, size), len(VOC_CLASSES))
        annotations = self._annotations(self._listed())
        return Description((3, size, size), len(annotations.classes))

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """The splits that are listed; DataError for files that are missing or listed twice."""
        size = _required(image_size)
        self._fetch_missing()
        ids = self._listed()
        annotations = self._annotations(ids)
        # The classes of any split are those of all annotations.
        key = {"source": self.name, "difficult": self._difficult}
        state = fingerprint(key, annotations.files.values())
        return {name: self._split(each, annotations, state, size) for name, each in ids.items()}

    def _listed(self) -> dict[str, Ids]:
        return voc_lists.listed(self._folder, self._test_fraction)

    def _annotations(self, ids: Mapping[str, Ids]) -> Annotations:
        every = [one for each in ids.values() for one in each]
        files = voc_lists.annotations(self._folder / "Annotations", every)
        return Annotations(dict(zip(every, files, strict=True)))

    def _split(self, ids: Ids, annotations: Annotations, state: str, size: int) -> Split:
        paths = voc_lists.pictures(self._folder / "JPEGImages", ids)
        files = FileImages(paths, (size, size), "RGB")

        def load() -> Decoded:
            labels = annotations.labels(ids, self._difficult)
            return Decoded(files, labels, annotations.classes)

        def stream() -> Decoded:
            files.check_headers()
            return load()

        key = fingerprint({"annotations": state, "size": size}, paths)
        return Split(key, load, stream, prod(files.shape))

    @property
    def _folder(self) -> Path:
        return self._root / self._place

    def _fetch_missing(self) -> None:
        """Download a year that is not there at all; what a tree of one's own lacks is named."""
        if self._folder.is_dir():
            return
        if not self._download:
            raise DataError(
                f"data=voc is not in {self._root}: expected a folder {self._place} there, type "
                f"data.root=FOLDER for one that holds it, or data.download=true"
            )
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            # Beside the final place and moved as a whole, so that it is never half there.
            with tempfile.TemporaryDirectory(dir=self._root, prefix=".partial-") as partial:
                self._fetch(Path(partial))
        except (OSError, RuntimeError, ValueError, EOFError, tarfile.TarError) as error:
            reason = in_one_line(error)
            raise DataError(
                f"data=voc could not be downloaded to {self._root}: {reason}; "
                f"type data.root=FOLDER for a folder that holds {self._place}"
            ) from error

    def _fetch(self, partial: Path) -> None:
        from torchvision.datasets import VOCDetection  # slow, and not needed once there

        # Of 2007 alone the test images are annotated too; they come in an archive of their own.
        for image_set in ("train", "test") if self._year == 2007 else ("train",):
            VOCDetection(partial, str(self._year), image_set, download=True)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        (partial / self._place).replace(self._folder)


def _required(image_size: int | None) -> int:
    if image_size is None:
        raise ConfigError("data.image_size=null: voc needs a size, such as 128")
    return image_size
