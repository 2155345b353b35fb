import numpy as np
import pytest
from PIL import Image

from sweeper.tracking.watch_figures import feature_maps, histograms

PICTURES = [Image.new("L", (6, 6), 100), Image.new("L", (6, 6), 200)]
BEFORE = np.random.default_rng(0).normal(size=(2, 20, 6, 6)).astype(np.float32)


def drawn(before=BEFORE, after=None, activation=""):
    return feature_maps(PICTURES, ["cat", "dog"], before, after, activation, "conv, epoch 1")


def test_a_panel_before_and_one_after_the_activation() -> None:
    figure = drawn(after=BEFORE.clip(0), activation="relu")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["before relu", "after relu"]
    assert figure.get_suptitle() == "conv, epoch 1: 16 of 20 channels"


def test_a_layer_without_activation_has_one_panel() -> None:
    assert [axes.get_title() for axes in drawn().axes if axes.get_title()] == ["output"]


def test_each_map_lies_in_the_row_of_its_image_and_the_column_of_its_channel() -> None:
    axes = drawn().axes[0]
    sheet = axes.images[1].get_array()
    side = 6 * 4 + 1  # each of 6 pixels is drawn as 4, and a gap follows
    assert sheet.shape == (2 * side - 1, 16 * side - 1)
    assert sheet[side, 3 * side] == BEFORE[1, 3, 0, 0]
    assert sheet[side + 4, 3 * side + 20] == BEFORE[1, 3, 1, 5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]


def test_before_the_activation_white_is_zero_and_after_it_dark_is_the_least() -> None:
    before, after = (
        axes.images[1].get_clim() for axes in drawn(after=BEFORE.clip(0)).axes if axes.get_title()
    )
    assert before[0] == -before[1] < 0
    assert after[0] == 0 < after[1]


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 4), (2, 1, 1, 1), (2, 3, 4, 9)])
def test_maps_of_any_shape_can_be_drawn(shape) -> None:
    drawn(np.zeros(shape, np.float32)).draw_without_rendering()


def test_a_histogram_a_layer_says_mean_and_deviation() -> None:
    values = {"conv": np.array([1, 3], np.float32), "fc": np.array([np.nan, 2], np.float32)}
    figure = histograms(values, "weights, epoch 1")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["conv\n2 ± 1", "fc\n2 ± 0"]
    assert figure.get_suptitle() == "weights, epoch 1"


@pytest.mark.parametrize(("layers", "panels"), [(0, 0), (1, 1), (30, 30), (53, 30)])
def test_many_layers_are_thinned_out_from_first_to_last(layers, panels) -> None:
    values = {f"layer {i}": np.arange(9, dtype=np.float32) for i in range(layers)}
    figure = histograms(values, "weights")
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_title()]
    assert len(set(titles)) == panels
    assert titles[:1] + titles[-1:] == (["layer 0", f"layer {layers - 1}"] if layers else [])
