import numpy as np
import pytest
import torch

from sweeper.data.inverse import to_pictures, to_pil
from sweeper.data.normalise import Normalise
from sweeper.data.statistics import Statistics
from sweeper.errors import DataError

LEVELS = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.4914, 0.2023), (0.5, 1e-4), (-3.0, 40.0)])
def test_every_level_is_restored(
    channels: int, channels_last: bool, mean: float, std: float
) -> None:
    images = LEVELS.repeat(2, channels, 1, 1)
    means, stds = [mean + 0.1 * c for c in range(channels)], [std] * channels
    normalise = Normalise(
        Statistics(tuple(means), tuple(stds)),
        (channels, 16, 16),
        torch.device("cpu"),
        channels_last,
    )
    picture = np.array(to_pictures(normalise(images), means, stds)[1])
    assert picture.reshape(16, 16, -1).tolist() == images[1].permute(1, 2, 0).tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mode_of_a_picture_depends_on_its_channels(channels: int) -> None:
    picture = to_pil(torch.zeros(channels, 4, 6, dtype=torch.uint8))
    assert (picture.mode, picture.size) == ({1: "L", 3: "RGB"}[channels], (6, 4))


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4, 4), (4, 4), (1, 3, 4, 4), (0, 4, 4)])
def test_other_shapes_raise_an_error_with_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="shape \\(" + ", ".join(map(str, shape))):
        to_pil(torch.zeros(shape, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (3, 4, 4), (1, 1, 4, 4)])
def test_batches_of_other_shapes_raise_an_error_with_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="shape \\(" + ", ".join(map(str, shape))):
        to_pictures(torch.zeros(shape), [0.5] * 3, [0.5] * 3)


def test_values_out_of_range_are_clamped() -> None:
    picture = to_pictures(torch.tensor([-9.0, 9.0]).view(1, 1, 1, 2), [0.5], [0.5])[0]
    assert np.array(picture).tolist() == [[0, 255]]
