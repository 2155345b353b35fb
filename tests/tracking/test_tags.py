"""The tags that a user may give a run."""

import pytest

from sweeper.errors import ConfigError
from sweeper.schema import parsed
from sweeper.tracking.tags import require_free_names, with_dotted_names
from sweeper.training.settings import RunSettings


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ({"who": "me", "n": 3}, {"who": "me", "n": 3}),
        ({"a": {"b": {"c": 1}, "d": None}}, {"a.b.c": 1, "a.d": None}),
        ({1: "x"}, {"1": "x"}),
        (None, None),
    ],
)
def test_nested_tags_have_dotted_names(typed: object, tags: object) -> None:
    assert with_dotted_names(typed) == tags


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mlflow.runName", "type run_name=NAME"),
        ("mlflow.parentRunId", r"\+tags\.KEY"),
        ("sweeper.study", r"\+tags\.KEY"),
        ("", r"\+tags\.KEY"),
    ],
)
def test_a_tag_that_would_change_what_a_run_is_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_free_names({"who": "me", name: "x"})
    require_free_names({"mlflow.note.content": "a note", "sweepers": "x"})


def test_a_run_may_be_named_by_a_number_and_has_nested_tags() -> None:
    fixed = {"seed": 0, "metric": "val/loss", "direction": None, "study": "resume"}
    fixed |= {"resume": None, "figures": False}
    settings = parsed("", RunSettings, fixed | {"run_name": 3, "tags": {"a": {"b": 1}}})
    assert (settings.run_name, settings.tags) == ("3", {"a.b": 1})
    with pytest.raises(ConfigError, match=r"^tags\.sweeper\.trial: "):
        parsed("", RunSettings, fixed | {"tags": {"sweeper": {"trial": 3}}})
