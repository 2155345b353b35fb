"""scikit-learn's handwritten digits: 1797 grayscale images of 8 x 8, shipped with the package."""

from functools import partial
from importlib.metadata import version

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.data.split import FIXED, hold_out

TEST_FRACTION = 0.2


class Digits:
    """The digits; a fifth is held out as the test split, stratified and the same for every seed."""

    name = "digits"

    def describe(self, image_size: int | None) -> Description:
        """Ten classes, at their own size."""
        return Description((1, 8, 8), 10)

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """`train` and `test`, at their own size."""
        key = {"source": self.name, "scikit-learn": version("scikit-learn")}
        return {
            split: Split(fingerprint({**key, "split": split}), partial(_load, split))
            for split in ("train", "test")
        }


def _load(split: str) -> Decoded:
    from sklearn.datasets import load_digits  # two seconds, and not needed once cached

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    kept, held = hold_out(labels, round(len(labels) * TEST_FRACTION), FIXED)
    chosen = held if split == "test" else kept
    images = np.rint(bunch.images[chosen, None] * (255 / 16)).astype(np.uint8)  # values 0..16
    return Decoded(images, labels[chosen], tuple(str(name) for name in bunch.target_names))
