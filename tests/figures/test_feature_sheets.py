"""Tests that read sheets of feature maps back from their pixels."""

import numpy as np
import pytest
from PIL import Image

from sweeper.figures.feature_sheets import feature_maps, map_side

PICTURES = [Image.new("RGB", (6, 6), (0, 200, 0)), Image.new("RGB", (6, 6), (0, 0, 200))]
GREEN, BLUE = (0, 200, 0), (0, 0, 200)
RED, WHITE, DARK = (103, 0, 31), (247, 246, 246), (68, 1, 84)  # the maps' ends and middle
GAP = 8


def map_size(sheet: np.ndarray) -> tuple[int, int]:
    """Return the longer side of a map in pixels, and the distance between two of them."""
    side = int((sheet == GREEN).all(axis=2).any(axis=0).sum())
    return side, side + GAP


def drawn(before, after=None, labels=("cat", "dog")) -> np.ndarray:
    activation = "" if after is None else "relu"
    return np.asarray(feature_maps(PICTURES, labels, before, after, activation, "conv, epoch 1"))


def corner(sheet: np.ndarray, color: tuple[int, int, int]) -> tuple[int, int]:
    """Return row and column of the first pixel of a colour."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    return int(rows.min()), int(columns.min())


def test_each_map_lies_in_the_row_of_its_image_and_the_column_of_its_channel() -> None:
    before = np.zeros((2, 20, 6, 6), np.float32)
    before[1, 3, :, :3] = 1.0
    sheet = drawn(before)
    (top, left), (cell, pitch) = corner(sheet, GREEN), map_size(sheet)
    assert corner(sheet, BLUE) == (top + pitch, left)
    map_left = left + (1 + 3) * pitch
    half = sheet[top + pitch : top + pitch + cell, map_left : map_left + cell]
    assert (half[:, : cell // 2] == RED).all()
    assert (half[:, cell // 2 :] == WHITE).all()


def test_only_the_first_channels_are_drawn() -> None:
    zeros = np.zeros((2, 40, 6, 6), np.float32)
    eight, sixteen, forty = (drawn(zeros[:, :n], labels=("c", "d")) for n in (8, 16, 40))
    assert sixteen.shape == forty.shape
    assert map_size(eight) > map_size(sixteen) == map_size(forty)


@pytest.mark.parametrize("n_channels", [1, 3, 8, 16])
def test_a_sheet_is_wide_enough_to_be_read_at_half_size(n_channels: int) -> None:
    assert map_side(n_channels, 50) >= 88
    if n_channels > 4:
        assert drawn(np.zeros((2, n_channels, 6, 6), np.float32)).shape[1] >= 1600


def test_a_panel_before_and_one_after_the_activation() -> None:
    before = np.full((2, 2, 6, 6), 1.0, np.float32)
    before[0] = -1.0
    one, two = drawn(before), drawn(before, before.clip(0))
    top, left = corner(one, GREEN)
    _, pitch = map_size(one)
    panel = two[len(one) :]
    assert (two[top : len(one), : one.shape[1]] == one[top:]).all()
    assert corner(panel, GREEN)[1] == left
    top, _ = corner(panel, GREEN)
    assert tuple(panel[top, left + pitch]) == DARK


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 4), (2, 1, 1, 1), (2, 3, 4, 9), (2, 3, 200, 90)])
def test_maps_of_any_shape_can_be_drawn(shape) -> None:
    height, width = (*shape[2:], 1, 1)[:2] if len(shape) != 3 else shape[1:]
    green = (drawn(np.zeros(shape, np.float32)) == GREEN).all(axis=2)
    tall, wide = int(green.any(axis=1).sum()), int(green.any(axis=0).sum())
    assert green.sum() == tall * wide
    assert wide / tall == pytest.approx(width / height, rel=0.05)


def test_long_labels_move_the_maps_to_the_right() -> None:
    maps = np.zeros((2, 3, 6, 6), np.float32)
    assert corner(drawn(maps, labels=("i" * 80, "dog")), GREEN)[1] > corner(drawn(maps), GREEN)[1]


def test_maps_of_images_without_pictures_have_no_column_of_images() -> None:
    before = np.full((2, 3, 6, 6), 1.0, np.float32)
    sheet = np.asarray(feature_maps([], ("cat", "dog"), before, None, "", "conv, epoch 1"))
    full = drawn(before)
    columns = [int((each == RED).all(axis=2).any(axis=0).sum()) for each in (sheet, full)]
    assert columns[0] == columns[1]
    assert full.shape[1] - sheet.shape[1] == map_size(full)[1]
