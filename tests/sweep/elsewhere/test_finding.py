import math

import pytest

from sweeper.sweep.elsewhere.finding import Finding, Findings, spread


def findings(directions, *values):
    return Findings([Finding({}, v) for v in values], directions, "complete trials")


@pytest.mark.parametrize(
    ("direction", "expected"), [("minimize", [(1,), (2,), (3,)]), ("maximize", [(3,), (2,), (1,)])]
)
def test_the_best_trial_is_first(direction, expected) -> None:
    found = findings((direction,), (2,), (math.nan,), (3,), (1,), (math.inf,))
    assert [t.values for t in found.best_first()] == expected


def test_the_pareto_front_begins_with_the_best_in_the_first_objective() -> None:
    found = findings(("maximize", "minimize"), (1, 1), (3, 5), (2, 6), (2, 4), (1, 2))
    assert [t.values for t in found.front()] == [(3, 5), (2, 4), (1, 1)]


@pytest.mark.parametrize(
    ("n", "expected"), [(None, "abcdef"), (9, "abcdef"), (1, "a"), (2, "af"), (3, "acf")]
)
def test_a_part_of_a_front_has_both_of_its_ends(n, expected) -> None:
    assert "".join(spread("abcdef", n)) == expected
