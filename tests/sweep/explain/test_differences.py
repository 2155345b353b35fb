"""What differs between a default config and a winner, in an application of two groups."""

import pytest
from omegaconf import OmegaConf

from sweeper.sweep.command import StudyCommand
from sweeper.sweep.explain import differences as module
from sweeper.sweep.explain.differences import Difference, differences

COMMAND = StudyCommand("s", None, ("app.py",), (), ".")
MODELS = {
    "cnn": {"width": 8, "dropout": 0.0},
    "mlp": {"width": 16, "hidden": [1], "dropout": 0.0},
    "blocks": {"width": 8, "dropout": 0.0},
}
BLOCKS = {"plain": {}, "residual": {"gain": 1.0}}
OPTIMIZERS = {"adam": {"lr": 0.1}, "sgd": {"lr": 0.2, "momentum": 0.9}}


@pytest.fixture(autouse=True)
def application(monkeypatch: pytest.MonkeyPatch) -> None:
    def options(_: StudyCommand, overrides: list[str]) -> dict[str, str | None]:
        given = dict(each.split("=") for each in overrides)
        found = {"model": "cnn", "optimizer": "adam", "extra": None} | given
        if found["model"] == "blocks":
            found = {"model/block": "plain"} | found
        return {key: found[key] for key in found if "." not in key and key != "x"}

    def config(_: StudyCommand, overrides: list[str]):
        chosen = options(_, overrides)
        block = BLOCKS[chosen["model/block"]] if "model/block" in chosen else {}
        model = MODELS[chosen["model"]] | {"block": block}
        return OmegaConf.create(
            {"x": 1, "model": model, "optimizer": OPTIMIZERS[chosen["optimizer"]], "extra": {}}
        )

    monkeypatch.setattr(module, "default_config", config)
    monkeypatch.setattr(module, "default_options", options)


def test_a_value_is_a_difference_of_its_own_if_both_options_have_the_same_default() -> None:
    found = differences(COMMAND, [], {"model": "mlp", "model.dropout": "0.5", "x": "1"})
    assert found.found == [
        Difference("model", "cnn", "mlp"),
        Difference("model.dropout", "0.0", "0.5"),
    ]
    assert found.shared == {"x": "1"}


def test_what_an_option_alone_has_and_its_other_defaults_come_with_it() -> None:
    winner = {"optimizer.lr": "0.3", "model": "mlp", "model.hidden": "[2]", "optimizer": "sgd",
              "model.width": "16", "optimizer.momentum": "0.9"}  # fmt: skip
    found = differences(COMMAND, [], winner)
    assert found.found == [
        Difference("model", "cnn", "mlp",
                   {"model.hidden": (None, "[2]"), "model.width": ("8", "16")}),
        Difference("optimizer", "adam", "sgd",
                   {"optimizer.lr": ("0.1", "0.3"), "optimizer.momentum": (None, "0.9")}),
    ]  # fmt: skip
    assert found.shared == {}


def test_a_value_of_another_option_that_is_the_default_is_shared() -> None:
    found = differences(COMMAND, [], {"optimizer": "sgd", "optimizer.lr": "0.1"})
    assert found.found == [Difference("optimizer", "adam", "sgd")]
    assert found.shared == {"optimizer.lr": "0.1"}


def test_the_default_option_is_shared() -> None:
    found = differences(COMMAND, [], {"optimizer": "adam", "optimizer.lr": "0.3"})
    assert found.found == [Difference("optimizer.lr", "0.1", "0.3")]
    assert found.shared == {"optimizer": "adam"}


def test_a_group_that_only_an_option_has_comes_with_that_option() -> None:
    winner = {"optimizer": "sgd", "model/block": "residual", "model": "blocks",
              "model.block.gain": "2.0"}  # fmt: skip
    found = differences(COMMAND, [], winner)
    assert found.found == [
        Difference("optimizer", "adam", "sgd"),
        Difference("model", "cnn", "blocks",
                   {"model/block": (None, "residual"), "model.block.gain": (None, "2.0")}),
    ]  # fmt: skip
    assert found.from_start == {}


def test_an_option_of_a_group_that_has_none_by_default_is_there_from_the_start() -> None:
    found = differences(COMMAND, [], {"extra": "one", "x": "2"})
    assert found.found == [Difference("x", "1", "2")]
    assert found.from_start == found.shared == {"extra": "one"}


def test_defaults_are_told_from_other_values() -> None:
    found = differences(COMMAND, [], {"x": "2"})
    assert found.are_defaults({"model.width": "8.0", "optimizer.lr": "0.1"})
    assert not found.are_defaults({"model.width": "8", "optimizer.lr": "0.3"})
    assert not found.are_defaults({"model.hidden": "[1]"})
