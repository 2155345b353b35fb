"""Checkpoints that came from someone else: nothing in them is called, resolved or shown raw."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sweeper.errors import CheckpointError, ConfigError, SweeperError
from sweeper.evaluate import evaluate
from sweeper.run.restore import restore

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.fixture
def forged(ran_before) -> Callable[..., Path]:
    """Return a function that changes the content of a run's checkpoint."""
    small = ("trainer.epochs=1", "trainer.train_limit=64", "trainer.val_limit=32", "model=mlp")
    path = ran_before(*small) / "checkpoints/best.pt"

    def forge(change: Callable[[dict], None]) -> Path:
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, path)
        return path

    return forge


def in_config(old: str, new: str) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        assert old in content["config"]
        content["config"] = content["config"].replace(old, new, 1)

    return change


def in_profile(**values: object) -> Callable[[dict], None]:
    return lambda content: content["data"].update(values)


def calling(marker: Path) -> dict[str, object]:
    return {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path",
            "_args_": [str(marker)]}]}  # fmt: skip


@pytest.mark.parametrize("key", ["mean", "std", "classes", "image_shape", "n_train"])
@pytest.mark.parametrize("wrap", [lambda node: (node,), lambda node: node, lambda node: [[node]]])
def test_a_value_of_the_profile_is_never_called(forged, tmp_path, refuses, key, wrap) -> None:
    marker = tmp_path / "called"
    path = forged(in_profile(**{key: wrap(calling(marker))}))
    with refuses(CheckpointError, rf"is damaged: data\.{key}"):
        restore(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("train_transform: []", "train_transform: [{_target_: os.system, command: MARK}]"),
        ("eval_transform: []", "eval_transform: [{a: [{_target_: os.system, command: MARK}]}]"),
        ("dropout: 0.0", "dropout: {_target_: os.system, command: MARK}"),
        ("adapter: sweeper.losses.ClassIndex", "adapter: antigravity.geohash"),
        ("weight: null", "weight: {_target_: os.system, command: MARK}"),
        ("_target_: sweeper.models.mlp.MLP", "_target_: os.system\n  command: MARK"),
    ],
)
def test_a_target_that_nobody_trusts_is_never_called(forged, tmp_path, refuses, old, new) -> None:
    marker = tmp_path / "called"
    path = forged(in_config(old, new.replace("MARK", f"'touch {marker}'")))
    with refuses(SweeperError, "not part of sweeper|expected|damaged"):
        restore(path)
    assert not marker.exists()


def test_a_target_below_a_trusted_one_is_judged_by_itself(forged, refuses) -> None:
    compose = "torchvision.transforms.v2.Compose"
    inner = "{_target_: os.system, command: 'true'}"
    new = f"eval_transform: [{{_target_: {compose}, transforms: [{inner}]}}]"
    with refuses(ConfigError, r"calls os\.system, which is not part of sweeper: type trust=os"):
        restore(forged(in_config("eval_transform: []", new)))


@pytest.mark.parametrize("value", ["${oc.env:SECRET}", '"\\x24{oc.env:SECRET}"', "'a${SECRET}'"])
def test_no_resolver_runs(forged, monkeypatch, refuses, value) -> None:
    monkeypatch.setenv("SECRET", "5ecret")
    path = forged(in_config("seed: 0", f"seed: {value}"))
    with refuses(CheckpointError, "interpolation") as caught:
        restore(path)
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [BOMB, "[" * 5000, "{" * 5000, "a: 1\n" * 100_000, "a: &a [*a]\n", "\x00", "!!python/none"],
)
def test_a_config_that_is_a_bomb_is_refused_in_under_a_second(forged, refuses, text) -> None:
    path = forged(lambda content: content.update(config=text))
    started = time.process_time()
    with refuses(CheckpointError, "config"):
        restore(path)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", ["\x1b[2Jclass", "a\nb", "\x9b31m", "tab\t"])
def test_control_characters_of_a_class_are_shown_escaped(forged, capsys, name) -> None:
    path = forged(in_profile(classes=(name, *"123456789")))
    evaluate([f"checkpoint={path}"])
    shown = capsys.readouterr().out
    assert name not in shown
    assert name.encode("unicode_escape").decode() in shown


def test_a_resumed_run_does_not_expand_a_bomb(ran, forged, refuses) -> None:
    forged(lambda content: content.update(config=BOMB))
    best = forged(lambda content: None)
    best.rename(best.with_name("last.pt"))
    with refuses(CheckpointError, "alias"):
        ran("trainer.epochs=2", "trainer.train_limit=64", "trainer.val_limit=32", "model=mlp",
            f"resume={best.with_name('last.pt')}", folder="again")  # fmt: skip
