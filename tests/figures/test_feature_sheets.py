"""Tests that read sheets of feature maps back from their pixels."""

import numpy as np
import pytest
from PIL import Image

from sweeper.figures.feature_sheets import feature_maps

PICTURES = [Image.new("RGB", (6, 6), (0, 200, 0)), Image.new("RGB", (6, 6), (0, 0, 200))]
GREEN, BLUE = (0, 200, 0), (0, 0, 200)
RED, WHITE, DARK = (103, 0, 31), (247, 246, 246), (68, 1, 84)  # the maps' ends and middle
CELL, PITCH = 72, 76


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
    top, left = corner(sheet, GREEN)
    assert corner(sheet, BLUE) == (top + PITCH, left)
    map_left = left + (1 + 3) * PITCH
    half = sheet[top + PITCH : top + PITCH + CELL, map_left : map_left + CELL]
    assert (half[:, : CELL // 2] == RED).all()
    assert (half[:, CELL // 2 :] == WHITE).all()


def test_only_the_first_channels_are_drawn() -> None:
    sheet = {c: drawn(np.zeros((2, c, 6, 6), np.float32)) for c in (15, 16, 20)}
    assert sheet[15].shape[1] + PITCH == sheet[16].shape[1] == sheet[20].shape[1]


def test_a_panel_before_and_one_after_the_activation() -> None:
    before = np.full((2, 2, 6, 6), 1.0, np.float32)
    before[0] = -1.0
    one, two = drawn(before), drawn(before, before.clip(0))
    top, left = corner(one, GREEN)
    panel = two[len(one) :]
    assert (two[top : len(one), : one.shape[1]] == one[top:]).all()
    assert corner(panel, GREEN)[1] == left
    top, _ = corner(panel, GREEN)
    assert tuple(panel[top, left + PITCH]) == DARK


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 4), (2, 1, 1, 1), (2, 3, 4, 9), (2, 3, 200, 90)])
def test_maps_of_any_shape_can_be_drawn(shape) -> None:
    height, width = (*shape[2:], 1, 1)[:2] if len(shape) != 3 else shape[1:]
    tall, wide = (round(CELL * side / max(height, width)) for side in (height, width))
    sheet = drawn(np.zeros(shape, np.float32))
    assert (sheet == GREEN).all(axis=2).sum() == tall * wide


def test_long_labels_move_the_maps_to_the_right() -> None:
    maps = np.zeros((2, 3, 6, 6), np.float32)
    assert corner(drawn(maps, labels=("i" * 80, "dog")), GREEN)[1] > corner(drawn(maps), GREEN)[1]
