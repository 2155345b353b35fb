"""Tests that read a run's event files with TensorBoard's own reader."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from sweeper.errors import ConfigError
from sweeper.tracking.several import SeveralTrackers
from sweeper.tracking.tensorboard import TensorBoardTracker
from sweeper.tracking.tracker import NullTracker, Resumed, RunInfo

EVERYTHING = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)


def recorded(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run / "tensorboard"), EVERYTHING).Reload()


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = recorded(run)
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, round(e.value, 4)) for e in events.Scalars(tag)] for tag in tags}


def text(run: Path, tag: str) -> str:
    return recorded(run).Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def started(run: Path, resumed: Resumed | None = None) -> TensorBoardTracker:
    tracker = TensorBoardTracker()
    tracker.start(RunInfo("digits", params={"optimizer.lr": "0.1"}, folder=run, resumed=resumed))
    return tracker


def ran(run: Path, losses: dict[int, float], resumed: Resumed | None = None) -> TensorBoardTracker:
    """Record the loss and a histogram of some epochs."""
    tracker = started(run, resumed)
    for epoch, loss in losses.items():
        tracker.log_metrics({"val/loss": loss}, epoch)
        tracker.log_histograms("weights", {"conv": np.full(epoch, loss, np.float32)}, epoch)
    return tracker


def test_records_are_on_disk_before_the_run_ends(tmp_path) -> None:
    ran(tmp_path, {1: 0.5, 2: 0.25})
    assert scalars(tmp_path) == {"val/loss": [(1, 0.5), (2, 0.25)]}
    counts = [e.histogram_value.num for e in recorded(tmp_path).Histograms("weights/conv")]
    assert counts == [1, 2]


def test_a_metric_has_one_value_per_step(tmp_path) -> None:
    tracker = ran(tmp_path, {1: 0.5})
    tracker.log_metrics({"val/loss": 0.5, "test/loss": 0.75}, 1)
    assert scalars(tmp_path) == {"val/loss": [(1, 0.5)], "test/loss": [(1, 0.75)]}


def test_params_documents_tags_and_the_status_are_text(tmp_path) -> None:
    tracker = started(tmp_path)
    (tmp_path / "model_summary.txt").write_text("layer  type\nfc     Linear\n")
    tracker.log_artifact(tmp_path / "model_summary.txt")
    tracker.set_tags({"sweeper.state": "pruned"})
    tracker.finish("KILLED", "pruned")
    assert "| optimizer.lr | 0.1 |" in text(tmp_path, "params")
    assert text(tmp_path, "model_summary") == "    layer  type\n    fc     Linear"
    assert text(tmp_path, "tags/sweeper.state") == "pruned"
    assert text(tmp_path, "status") == "KILLED: pruned"


def test_params_can_be_compared_as_numbers(tmp_path) -> None:
    started(tmp_path).finish("FINISHED")
    data = recorded(tmp_path).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert b"optimizer.lr\x12\t\x11" + np.float64(0.1).tobytes() in data


def test_pictures_are_images_of_the_last_step_and_checkpoints_are_ignored(tmp_path) -> None:
    tracker = ran(tmp_path, {3: 0.5})
    Image.new("RGB", (7, 5), (255, 0, 0)).save(tmp_path / "curves.png")
    (tmp_path / "best.pt").write_bytes(b"weights")
    tracker.log_artifact(tmp_path / "curves.png", "figures")
    tracker.log_artifact(tmp_path / "best.pt", "checkpoints")
    assert recorded(tmp_path).Tags()["images"] == ["figures/curves"]
    (image,) = recorded(tmp_path).Images("figures/curves")
    assert (image.step, image.width, image.height) == (3, 7, 5)


def test_values_that_are_not_finite_are_left_out_of_histograms(tmp_path) -> None:
    tracker = started(tmp_path)
    odd = np.array([np.nan, 1.0, np.inf], np.float32)
    tracker.log_histograms("gradients", {"conv": odd, "dead": odd[:1]}, 1)
    (histogram,) = recorded(tmp_path).Histograms("gradients/conv")
    assert histogram.histogram_value.num == 1
    assert recorded(tmp_path).Tags()["histograms"] == ["gradients/conv"]


@pytest.mark.parametrize("folder", ["same", "new"])
def test_a_resumed_run_has_each_epoch_once_whatever_its_folder(tmp_path, folder) -> None:
    ran(tmp_path / "same", {1: 0.5, 2: 0.25, 3: 9.0})  # killed: epoch 3 is in no checkpoint
    history = [{"val/loss": 0.5}, {"val/loss": 0.25}]
    ran(tmp_path / folder, {3: 0.125}, Resumed(tmp_path / "same", history))
    assert scalars(tmp_path / folder) == {"val/loss": [(1, 0.5), (2, 0.25), (3, 0.125)]}
    events = recorded(tmp_path / folder).Histograms("weights/conv")
    assert [(e.step, e.histogram_value.max) for e in events] == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_a_resume_that_was_killed_while_it_copied_doubles_no_epoch(tmp_path) -> None:
    ran(tmp_path, {1: 0.5, 2: 0.25})
    (file,) = (tmp_path / "tensorboard").iterdir()
    copied = file.read_bytes()
    history = [{"val/loss": 0.5}, {"val/loss": 0.25}]
    ran(tmp_path, {}, Resumed(tmp_path, history))
    file.write_bytes(copied)  # the old file was not removed yet
    ran(tmp_path, {3: 0.125}, Resumed(tmp_path, history))
    assert scalars(tmp_path) == {"val/loss": [(1, 0.5), (2, 0.25), (3, 0.125)]}
    assert [e.step for e in recorded(tmp_path).Histograms("weights/conv")] == [1, 2, 3]


def test_epochs_that_no_event_file_has_are_written(tmp_path) -> None:
    ran(tmp_path / "new", {2: 0.25}, Resumed(tmp_path / "elsewhere", [{"val/loss": 0.5}]))
    assert scalars(tmp_path / "new") == {"val/loss": [(1, 0.5), (2, 0.25)]}


@pytest.mark.parametrize(("step", "expected"), [(0, 0), (2, 2), (None, 1)])
def test_a_picture_has_the_given_step_or_the_last_one(tmp_path, step, expected) -> None:
    tracker = started(tmp_path, Resumed(tmp_path, [{"val/loss": 0.5}]))
    Image.new("L", (2, 2)).save(tmp_path / "inputs.png")
    tracker.log_artifact(tmp_path / "inputs.png", step=step)
    assert [image.step for image in recorded(tmp_path).Images("inputs")] == [expected]


def test_the_test_scores_alone_of_a_resumed_run_are_dropped(tmp_path) -> None:
    ran(tmp_path / "one", {1: 0.5}).log_metrics({"n_parameters": 8, "test/loss": 0.75}, 1)
    ran(tmp_path / "two", {2: 0.25}, Resumed(tmp_path / "one", [{"val/loss": 0.5}]))
    assert scalars(tmp_path / "two") == {
        "val/loss": [(1, 0.5), (2, 0.25)],
        "n_parameters": [(1, 8.0)],
    }


def test_the_figures_of_a_resumed_run_are_those_that_it_draws_itself(tmp_path) -> None:
    pictures = {"figures": "test_confusion", "watch": "conv"}
    for name in pictures.values():
        Image.new("L", (2, 2)).save(tmp_path / f"{name}.png")
    tracker = ran(tmp_path, {1: 0.5})
    for folder, name in pictures.items():
        tracker.log_artifact(tmp_path / f"{name}.png", folder)
    tracker.finish("FINISHED")
    tracker = started(tmp_path, Resumed(tmp_path, [{"val/loss": 0.5}]))  # it had ended
    assert recorded(tmp_path).Tags()["images"] == ["watch/conv"]
    Image.new("L", (3, 3)).save(tmp_path / "test_confusion.png")
    tracker.log_artifact(tmp_path / "test_confusion.png", "figures")
    [picture] = recorded(tmp_path).Images("figures/test_confusion")
    assert (picture.step, picture.width) == (1, 3)


def test_a_new_run_in_an_old_folder_replaces_its_record(tmp_path) -> None:
    ran(tmp_path, {1: 0.5, 2: 0.25})
    ran(tmp_path, {1: 0.75})
    assert scalars(tmp_path) == {"val/loss": [(1, 0.75)]}


def test_an_event_file_that_was_cut_short_is_read_up_to_its_end(tmp_path) -> None:
    ran(tmp_path, {1: 0.5})
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    ran(tmp_path, {2: 0.25}, Resumed(tmp_path, [{"val/loss": 0.5}]))
    assert scalars(tmp_path) == {"val/loss": [(1, 0.5), (2, 0.25)]}


def test_the_graph_names_the_layers(tmp_path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10)).eval()
    started(tmp_path).log_graph(model, torch.zeros(1, 1, 8, 8))
    names = {node.name for node in recorded(tmp_path).Graph().node}
    assert any("Conv2d[0]" in name for name in names)
    assert any("Linear[2]" in name for name in names)


class Untraceable(nn.Module):
    def forward(self, images: torch.Tensor) -> object:
        return object()


def test_a_network_that_cannot_be_traced_gives_a_warning(tmp_path, caplog, capfd) -> None:
    started(tmp_path).log_graph(Untraceable(), torch.zeros(1))
    (warning,) = caplog.messages
    assert warning.startswith("tracking: cannot trace the network for its graph")
    assert capfd.readouterr().out == ""


def test_without_the_package_the_error_names_the_install_command(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install tensorboard.*uv run --extra tensorboard"):
        TensorBoardTracker()


class Named(NullTracker):
    uri, run_id = "sqlite:///mlflow.db", "abc"


def test_several_trackers_record_the_same_and_the_first_has_the_run_id(tmp_path) -> None:
    one, two = TensorBoardTracker(), TensorBoardTracker()
    several = SeveralTrackers(Named(), one, two)
    for tracker, name in ((one, "one"), (two, "two")):
        start = tracker.start
        tracker.start = lambda info, start=start, name=name: start(  # type: ignore[method-assign]
            replace(info, folder=tmp_path / name)
        )
    several.start(RunInfo("digits"))
    several.log_metrics({"val/loss": 0.5}, 1)
    several.finish("FINISHED")
    assert scalars(tmp_path / "one") == scalars(tmp_path / "two") == {"val/loss": [(1, 0.5)]}
    assert (several.uri, several.run_id) == ("sqlite:///mlflow.db", "abc")
