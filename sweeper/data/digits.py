"""scikit-learn's handwritten digits: 1797 grayscale images of 8 x 8, shipped with the package."""

from functools import partial
from importlib.metadata import version

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.data.split import FIXED_SEED, hold_out

TEST_FRACTION = 0.2


class Digits:
    """scikit-learn's digits; a stratified fifth, the same for every seed, is the test split."""

    name = "digits"

    def describe(self, image_size: int | None) -> Description:
        """Describe the images at their own size; `image_size` is not used."""
        return Description((1, 8, 8), 10)

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """Return `train` and `test` at their own size; `image_size` is not used."""
        key = {"source": self.name, "scikit-learn": version("scikit-learn")}
        return {
            split: Split(fingerprint({**key, "split": split}), partial(_load, split))
            for split in ("train", "test")
        }


def _load(split: str) -> Decoded:
    from sklearn.datasets import load_digits  # takes 2 seconds, not needed for a cached split

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    train, test = hold_out(labels, round(len(labels) * TEST_FRACTION), FIXED_SEED)
    indices = test if split == "test" else train
    images = np.rint(bunch.images[indices, None] * (255 / 16)).astype(np.uint8)  # levels 0..16
    return Decoded(images, labels[indices], tuple(str(name) for name in bunch.target_names))
