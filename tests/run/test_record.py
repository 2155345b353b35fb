import json
from types import SimpleNamespace

import pytest

from sweeper.errors import MovedError, OutageError, TrainingError
from sweeper.run import record
from sweeper.run.record import chosen_params, config_tag, searched_params
from sweeper.tracking.tags import TAG_LENGTH, config_of

CONFIG = {
    "model.channels": "[4, 8]", "model.hidden": "64", "optimizer.lr": "0.1", "seed": "0",
    "trainer.lr_scale.features": "0.1", "model": "cnn", "optimizer": "adam", "init.conv": "normal",
}  # fmt: skip
CHOICES = {"model": "cnn", "optimizer": "adam", "init.conv": "normal", "tracking": "all"}


def test_the_params_of_a_trial_are_those_that_are_searched() -> None:
    searched = {
        "model.channels": "[4,8]",
        "+trainer.lr_scale": "{a: 1}",
        "init@init.conv": "normal",
    }
    assert searched_params(CONFIG, searched) == {
        "model.channels": "[4, 8]",
        "trainer.lr_scale": "{a: 1}",
        "init.conv": "normal",
    }


def test_the_params_of_a_run_are_its_options_and_what_was_overridden() -> None:
    overrides = [
        "model=cnn",
        "++optimizer.lr=0.1",
        "+trainer.lr_scale={features: 0.1}",
        "study=fresh",
    ]
    assert chosen_params(CONFIG, CHOICES, overrides) == {
        "optimizer.lr": "0.1",
        "trainer.lr_scale.features": "0.1",
        "model": "cnn",
        "optimizer": "adam",
        "init.conv": "normal",
    }


def test_the_rest_of_the_config_is_a_tag() -> None:
    params = {"optimizer.lr": "0.1"}
    assert config_of(config_tag(CONFIG, params)) | params == CONFIG


def test_a_tag_without_room_leaves_out_the_longest_values() -> None:
    long = {"model.a": "x" * TAG_LENGTH, "model.b": '"' * (TAG_LENGTH - 9)}
    assert config_of(config_tag(CONFIG | long, {})) == CONFIG


@pytest.mark.parametrize("text", ["no JSON", "[1]", json.dumps("a")])
def test_a_tag_that_someone_else_wrote_is_no_config(text: str) -> None:
    (name,) = config_tag({}, {})
    assert config_of({name: text}) == {}


def test_tags_of_the_user_are_added() -> None:
    tags = record.tags(CHOICES, "0", {"who": "me", "batch": 3})
    assert (tags["who"], tags["batch"], tags["model"]) == ("me", "3", "cnn")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (OutageError("it is away"), "KILLED", "it is away"),
        (MovedError("it was moved"), "KILLED", "it was moved"),
        (TrainingError("the loss is nan"), "FAILED", "the loss is nan"),
        (MemoryError(), "FAILED", "MemoryError"),
    ],
)
def test_only_a_run_that_is_to_blame_has_failed(error, status, reason) -> None:
    ended = []
    tracker = SimpleNamespace(finish=lambda *end: ended.append(end))
    record.finish_failed(tracker, error)
    assert ended == [(status, reason)]


def test_an_own_tag_holds_no_password() -> None:
    own = {"source": "postgresql://ada:S3cret!@db/images", "n": 3}
    kept = record.tags({}, "0", own)
    assert (kept["source"], kept["n"]) == ("postgresql://ada:***@db/images", "3")
