import numpy as np
import pytest

from sweeper.figures.histograms import histograms


def test_the_histogram_of_a_layer_shows_mean_and_deviation() -> None:
    values = {"conv": np.array([1, 3], np.float32), "fc": np.array([np.nan, 2], np.float32)}
    figure = histograms(values, "weights, epoch 1")
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]
    assert titles == ["conv\n2 ± 1", "fc\n2 ± 0"]
    assert figure.texts[0].get_text() == "weights, epoch 1"


@pytest.mark.parametrize(("layers", "panels"), [(0, 0), (1, 1), (30, 30), (53, 30)])
def test_of_many_layers_thirty_are_drawn_from_first_to_last(layers, panels) -> None:
    values = {f"layer {i}": np.arange(9, dtype=np.float32) for i in range(layers)}
    figure = histograms(values, "weights")
    titles = [
        axes.get_title("left").split("\n")[0] for axes in figure.axes if axes.get_title("left")
    ]
    assert len(set(titles)) == panels
    assert titles[:1] + titles[-1:] == (["layer 0", f"layer {layers - 1}"] if layers else [])
