"""The race of finalists: who is dropped, and when."""

import random

import pytest
from scipy.stats import ttest_rel

from sweeper.sweep.finals.race import LEVEL, FinalPlace, correction, holm, looks, paired_p, race

CLOSE = (0.971, 0.975, 0.969, 0.980, 0.972)
BETTER = (0.981, 0.984, 0.980, 0.989, 0.982)
WORSE = (0.5, 0.505, 0.497)
ALIKE = (0.972, 0.974, 0.971, 0.977, 0.974)


def values(*finalists, n=5) -> dict[int, dict[int, float]]:
    """Return finalists 7, 3 and 12 with their values for the first n seeds."""
    numbered = zip((7, 3, 12), finalists, strict=False)
    return {trial: dict(enumerate(each[:n])) for trial, each in numbered}


@pytest.mark.parametrize(
    ("one", "other"), [(BETTER, CLOSE), (CLOSE, ALIKE), (CLOSE[:2], ALIKE[:2])]
)
def test_p_is_that_of_students_paired_test(one, other) -> None:
    assert paired_p(one, other) == pytest.approx(ttest_rel(one, other).pvalue)


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (CLOSE, CLOSE, 1.0),
        ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), 0.25),  # equal up to rounding
        ((0.9,), (0.1,), 1.0),
    ],
)
def test_equal_differences_are_no_certainty(one, other, p) -> None:
    assert paired_p(one, other) == p


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5], [0.5]),
        ([], []),
        ([0.9, 0.8], [1.0, 1.0]),
    ],
)
def test_holm_corrects_for_the_number_of_tests(p_values, corrected) -> None:
    assert holm(p_values) == pytest.approx(corrected)


@pytest.mark.parametrize("n_seeds", range(1, 12))
def test_the_looks_spend_the_level_once(n_seeds) -> None:
    assert sum(1 / correction(n, n_seeds) for n in looks(n_seeds)) == pytest.approx(1.0)


def test_the_runs_go_seed_by_seed() -> None:
    assert race(values((), ()), 2, True).runs == ((7, 0), (3, 0), (7, 1), (3, 1))
    assert race({7: {0: 0.9}, 3: {}}, 2, True).runs == ((3, 0), (7, 1), (3, 1))


def test_one_that_is_clearly_worse_is_dropped_before_the_end() -> None:
    found = race(values(BETTER, WORSE, n=3), 5, True)
    assert found.runs == ()
    assert [(p.trial, p.is_behind, len(p.values)) for p in found.places] == [
        (7, False, 3),
        (3, True, 3),
    ]
    assert 0 < found.places[1].p < LEVEL


@pytest.mark.parametrize(("maximize", "order"), [(True, [12, 7, 3]), (False, [3, 7, 12])])
def test_of_those_dropped_together_the_better_one_comes_first(maximize, order) -> None:
    middle = tuple(value + 0.2 for value in (0.503, 0.5, 0.501))
    found = race(values(middle, WORSE, BETTER, n=3), 3, maximize)
    assert [p.trial for p in found.places] == order
    assert [p.is_behind for p in found.places] == [False, True, True]


def test_of_those_that_failed_together_the_one_that_the_search_preferred_comes_first() -> None:
    found = race({7: {0: None}, 3: {0: None}, 12: {0: 0.5}}, 1, True)
    assert [p.trial for p in found.places] == [12, 7, 3]


def test_those_that_remain_go_on() -> None:
    found = race(values(CLOSE, WORSE, ALIKE, n=3), 4, True)
    assert found.runs == ((7, 3), (12, 3))


def test_those_alike_cannot_be_told_apart() -> None:
    found = race(values(CLOSE, ALIKE), 5, True)
    assert [(p.trial, p.is_behind) for p in found.places] == [(3, False), (7, False)]
    assert found.places[1].p > LEVEL


@pytest.mark.parametrize(("maximize", "first"), [(True, 3), (False, 7)])
def test_the_direction_decides_who_is_first(maximize, first) -> None:
    assert race(values(CLOSE, BETTER), 5, maximize).places[0].trial == first


def test_what_ran_ahead_of_a_look_changes_nothing() -> None:
    third = (*WORSE, 0.99, 0.99)
    assert race(values(BETTER, third), 5, True) == race(values(BETTER, third, n=3), 5, True)


def test_a_run_that_failed_puts_its_finalist_behind() -> None:
    found = race({7: {0: 0.9, 1: 0.9}, 3: {0: 0.95, 1: None}}, 2, True)
    assert found.places == (FinalPlace(7, (0.9, 0.9)), FinalPlace(3, (0.95,), None, True))
    everyone = race({7: {0: None}, 3: {0: None}}, 1, True)
    assert all(place.is_behind for place in everyone.places)


def test_those_dropped_because_of_one_that_failed_later_come_back() -> None:
    first = {0: 0.95, 1: 0.95, 2: 0.951}
    second, third = {i: 0.9 for i in range(3)}, dict(enumerate((0.70, 0.99, 0.80, 0.7, 0.7)))
    assert race({1: first, 2: second, 3: third}, 5, True).runs == ((1, 3), (1, 4))
    first[3] = None
    assert race({1: first, 2: second, 3: third}, 5, True).runs == ((2, 3), (2, 4))
    second |= {3: 0.9, 4: 0.9}
    found = race({1: first, 2: second, 3: third}, 5, True)
    assert found.places[2] == FinalPlace(1, (0.95, 0.95, 0.951), None, True)
    assert found.places[:2] == race({2: second, 3: third}, 5, True).places


def test_luck_alone_separates_seldom() -> None:
    rng = random.Random(0)
    n_wrong = 0
    for _ in range(400):
        equal = {t: {seed: rng.gauss() for seed in range(5)} for t in range(4)}
        n_wrong += any(place.is_behind for place in race(equal, 5, True).places)
    assert n_wrong / 400 < LEVEL + 0.02
