from collections.abc import Iterator
from typing import Any

import pytest

from study_side import StudySide
from sweeper import trial
from sweeper.data import kept as module
from sweeper.data.kept import kept


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_kept", {})


@pytest.fixture
def _in_a_study() -> Iterator[None]:
    with trial.reported_by(StudySide()):
        yield


@pytest.mark.usefixtures("_in_a_study")
def test_a_value_with_the_same_key_is_made_once() -> None:
    values: list[Any] = [kept("a", key, object) for key in (1, 1, 2)] + [kept("b", 1, object)]
    assert values[0] is values[1]
    assert len({id(value) for value in values}) == 3


@pytest.mark.usefixtures("_in_a_study")
def test_the_values_that_were_not_used_for_the_longest_time_are_dropped() -> None:
    first, second = kept("a", 1, object, most=2), kept("a", 2, object, most=2)
    kept("a", 1, object, most=2)
    kept("a", 3, object, most=2)
    assert kept("a", 1, object, most=2) is first
    assert kept("a", 2, object, most=2) is not second


def test_nothing_is_kept_outside_a_study() -> None:
    assert kept("a", 1, object) is not kept("a", 1, object)
