"""Watching a network in training: what is drawn, how often, and that the results do not change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from study_side import StudySide
from sweeper import trial
from sweeper.build.recipe import Recipe
from sweeper.errors import ConfigError
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.loop import fit
from sweeper.training.state import RunState
from sweeper.training.watch import Watch
from sweeper.training.watch_settings import WatchSettings

QUICK = (
    "trainer.train_limit=200",
    "trainer.val_limit=50",
    "trainer.epochs=2",
    "model.channels=[4,8]",
)
EVERYTHING = ("layers=auto", "histograms=true", "graph=true", "images=16", "every=1")
WATCHED = tuple(f"tracking.watch.{key}" for key in EVERYTHING)


def numbers(folder: Path) -> list[object]:
    """Return metrics, weights and random generators at the end of a run."""
    content = read_checkpoint(folder / "checkpoints/last.pt")
    timed = {"epoch_seconds", "images_per_second"}
    epochs = content["state"]["history"]
    metrics = [{k: v for k, v in epoch.items() if k not in timed} for epoch in epochs]
    weights = [tensor.tolist() for tensor in content["model"].values()]
    return [metrics, weights, content["rng"]["torch"].tolist(), content["rng"]["python"]]


@pytest.mark.parametrize(
    "overrides",
    [
        ("tracking=tensorboard", "model.dropout=0.3", "model.batch_norm=true"),
        ("tracking=none", "model.dropout=0.3", "trainer.ema_decay=0.9", "trainer.accumulate=3"),
        ("tracking=none", "trainer.activation_checkpointing=true", "data.resident=false"),
    ],
)
def test_watching_does_not_change_the_results(ran, tmp_path, overrides) -> None:
    ran(*QUICK, *overrides[1:], folder="unwatched")
    ran(*QUICK, *overrides, *WATCHED, folder="watched")
    assert numbers(tmp_path / "watched") == numbers(tmp_path / "unwatched")


def test_random_draws_in_evaluation_are_the_same_without_watching(
    ran, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(nn.Dropout, "forward", lambda layer, x: functional.dropout(x, 0.3, True))
    flip = "data.eval_transform=[{_target_: torchvision.transforms.v2.RandomHorizontalFlip}]"
    drawing = (*QUICK, "model.dropout=0.3", flip, "figures=false")
    ran(*drawing, folder="unwatched")
    ran(*drawing, *WATCHED, folder="watched")
    assert numbers(tmp_path / "watched") == numbers(tmp_path / "unwatched")


def test_everything_that_is_watched_reaches_the_tracker(ran, tracked, tmp_path) -> None:
    ran(*QUICK, *WATCHED, "trainer.epochs=1")
    pictures = [entry[1:] for entry in tracked if entry[0] == "artifact" and "watch" in entry[2]]
    layers = [(f"features.{i}.0.png", "watch/layers") for i in range(2)]
    assert pictures == [("inputs.png", "watch"), *layers]
    histograms = [(entry[1], list(entry[2])) for entry in tracked if entry[0] == "histograms"]
    layers = ["features.0.0", "features.1.0", "classifier.1"]
    kinds = ("weights", "biases", "gradients", "bias_gradients")
    assert histograms == [(kind, layers) for kind in kinds]
    assert ("graph", (1, 1, 8, 8)) in tracked
    for name, folder in pictures:
        assert (tmp_path / "run" / folder / name).is_file()
    with Image.open(tmp_path / "run/watch/layers/features.0.0.png") as picture:
        assert picture.width > 400


def test_nothing_is_watched_by_default(ran, tracked, tmp_path) -> None:
    ran(*QUICK)
    assert not [entry for entry in tracked if entry[0] in ("graph", "histograms")]
    assert not (tmp_path / "run/watch").exists()


def epochs_shown(tracked) -> list[int]:
    return [entry[3] for entry in tracked if entry[0] == "histograms" and entry[1] == "weights"]


@pytest.mark.parametrize(
    ("epochs", "every", "shown"),
    [(3, "auto", [1, 2, 3]), (5, 2, [2, 4, 5]), (11, "auto", [2, 4, 6, 8, 10, 11])],
)
def test_a_run_is_drawn_at_the_interval_and_at_its_end(ran, tracked, epochs, every, shown) -> None:
    small = ("trainer.train_limit=20", "trainer.val_limit=10", f"trainer.epochs={epochs}")
    watch = ("tracking.watch.histograms=true", f"tracking.watch.every={every}")
    ran("model.channels=[2]", *small, *watch)
    assert epochs_shown(tracked) == shown


def test_layers_without_maps_are_warned_of_once(ran, monkeypatch, caplog) -> None:
    monkeypatch.setattr("sweeper.training.watch.feature_maps", lambda *_: {})
    ran(*QUICK, "tracking.watch.layers=auto", "tracking.watch.every=1")
    messages = [record.message for record in caplog.records if "watch" in record.message]
    assert len(messages) == 1
    assert messages[0].endswith("(N, K): features.0.0, features.1.0")


@pytest.mark.parametrize("last", [2, 9])
def test_a_trial_is_drawn_once_at_its_end(ran, tracked, tmp_path, last) -> None:
    with trial.reported_by(StudySide(tmp_path / "run", stop_after=last)):
        ran(*QUICK, "trainer.epochs=4", "tracking.watch.histograms=true")
    assert epochs_shown(tracked) == [min(last, 4)]


def test_gradients_are_those_of_the_epochs_last_step(built, tmp_path) -> None:
    """Plain gradient descent moves the weights by the learning rate times the gradient."""
    sgd = ("optimizer=sgd", "optimizer.lr=0.5", "optimizer.momentum=0")
    whole = ("trainer.train_limit=32", "data.batch_size=8", "trainer.accumulate=2")
    experiment = built(*QUICK, *sgd, *whole, "trainer.clip_norm=0.1")
    experiment = replace(experiment, watch=WatchSettings(histograms=True))
    weight = experiment.model.get_parameter("features.0.0.weight")
    before: list[torch.Tensor] = []
    experiment.updates.optimizer.register_step_pre_hook(lambda *_: before.append(weight.clone()))
    watch = Watch(experiment, tmp_path)
    fit(experiment, RunState(1, 4, "val/accuracy", "maximize"), [watch])
    gradient = (before[-1] - weight).detach().numpy() / 0.5
    np.testing.assert_allclose(
        watch._gradients.values["weights"]["features.0.0"], gradient, atol=1e-6
    )
    assert len(before) == 2


AUTO = {
    "cnn": ["features.0.0", "features.1.0"],
    "vgg16": [f"features.{i}.0" for i in (0, 1, 4, 8, 12)],
    "mlp": [],
}


@pytest.mark.parametrize(("model", "names"), AUTO.items())
def test_auto_selects_the_first_some_middle_and_the_last_convolutions(built, model, names) -> None:
    small = ["model.width=0.1"] if model == "vgg16" else []
    watch = built(f"model={model}", *small, "tracking.watch.layers=auto").watch
    assert watch.layers == names


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("features.1.0", ["features.1.0"]),
        ("features.*.0", ["features.0.0", "features.1.0"]),
        ("[classifier.1,features.0.?]", [*(f"features.0.{i}" for i in range(3)), "classifier.1"]),
    ],
)
def test_layers_are_named_as_in_the_summary(built, wanted, names) -> None:
    assert built(f"tracking.watch.layers={wanted}").watch.layers == names


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("layers=feature.0.0", r"layers=feature\.0\.0: the network has no such layer; did you"),
        ("layers=['conv*']", r"layers=conv\*: the network has no such layer; choose one of"),
        ("every=0", r"tracking\.watch\.every=0: expected a value greater"),
        ("imagse=3", r"tracking\.watch has no key imagse; did you mean images"),
    ],
)
def test_an_invalid_watch_setting_is_refused_before_the_run_is_tracked(
    ran, tracked, override, message
) -> None:
    with pytest.raises(ConfigError, match=message):
        ran(f"+tracking.watch.{override}" if "imagse" in override else f"tracking.watch.{override}")
    assert tracked == []


@pytest.mark.parametrize("value", ["null", "foo"])
def test_a_watch_node_that_is_no_mapping_is_refused(composed, value) -> None:
    config = composed(f"tracking.watch={value}")
    with pytest.raises(ConfigError, match=r"tracking\.watch=.*group of keys; type tracking"):
        Recipe.of(config.cfg, config.choices)


def test_an_epoch_is_drawn_before_it_is_tracked(ran, tracked) -> None:
    """Drawing is slow, so it must not come between tracking an epoch and saving its checkpoint."""
    ran(*QUICK, "tracking.watch.layers=auto", "tracking.watch.histograms=true")
    epoch = [*["artifact"] * 2, *["histograms"] * 4, "metrics"]
    first = tracked.index(next(entry for entry in tracked if entry[2:] == ("watch/layers",)))
    kinds = [entry[0] for entry in tracked[first:] if entry[0] in epoch]
    assert kinds[:14] == epoch * 2


def test_a_resumed_run_draws_the_last_epoch_of_a_killed_one(ran, tracked, tmp_path) -> None:
    end = ("trainer.epochs=3", "tracking.watch.every=2", "tracking.watch.histograms=true")
    ran(*QUICK, *end, folder="killed")
    tracked.clear()
    ran(*QUICK, *end, f"resume={tmp_path / 'killed/checkpoints/last.pt'}")
    assert epochs_shown(tracked) == [3]
    assert not [entry for entry in tracked if entry[:2] == ("histograms", "gradients")]
