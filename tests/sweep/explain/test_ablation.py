"""The ablation path, from the values of its points."""

import math

import pytest

from sweeper.sweep.explain.ablation import Ablation, Point, Step, ablation
from sweeper.sweep.explain.account import Change, changes, companions, sentences, table
from sweeper.sweep.explain.differences import Difference


def points(**values: float) -> dict[Point, float]:
    """Return points by the letters of their changes; `none` is the default config."""
    return {Point("" if name == "none" else name): value for name, value in values.items()}


ALL = points(none=0.5, a=0.6, b=0.8, c=0.5, ab=0.82, bc=0.79, abc=0.9)


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        (points(abc=0.9), [""]),
        (points(none=0.5, a=0.6), ["b", "c"]),
        (points(none=0.5, a=0.6, b=0.8, c=0.5), ["ab", "bc"]),
        (points(none=0.5, a=0.6, b=0.8, c=0.5, ab=0.82, bc=0.79), ["abc"]),
        (ALL, []),
    ],
)
def test_the_next_step_alone_says_what_is_missing(known, missing) -> None:
    found = ablation("abc", known, maximize=True).missing
    assert {*found} == {Point(each) for each in missing}


def test_each_step_takes_the_change_that_improves_most() -> None:
    assert ablation("abc", ALL, maximize=True) == Ablation(
        0.5, (Step("b", 0.8), Step("a", 0.82), Step("c", 0.9))
    )
    down = {point: -value for point, value in ALL.items()}
    assert [step.key for step in ablation("abc", down, maximize=False).steps] == ["b", "a", "c"]


def test_no_more_runs_are_needed_than_the_source_says() -> None:
    known: dict[Point, float] = {}
    while missing := ablation("abcd", known, maximize=True).missing:
        known |= {point: len(point) + sum(map(ord, point)) / 1000 for point in missing}
    assert len(known) == 4 * 5 / 2 + 1  # and the default config


XY = [Difference("x", "1", "2"), Difference("y", "3", "4")]


def change(key: str, gain: float) -> Change:
    return Change(key, "1", "2", 0.0, gain)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        (
            {"a": 0.3, "b": 0.1, "c": -0.01},
            [
                "a (1 -> 2) mattered most: it brought +0.3000, all changes +0.3900.",
                "c did not help (-0.0100).",
                "The rest, b, brought +0.1000.",
            ],
        ),
        ({"a": 0.3}, ["a (1 -> 2) mattered", "No other parameter"]),
        ({"a": -0.1, "b": 0.0}, ["No change helped: together they brought -0.1000."]),
        (
            {"a": 0.0, "b": 0.3, "c": 0.0},
            [
                "b (1 -> 2) mattered most",
                "a and c did not help (+0.0000 together).",
                "The rest brought nothing.",
            ],
        ),
        ({}, ["The winner is the default config."]),
    ],
)
def test_a_few_sentences_say_what_mattered(gains, expected) -> None:
    said = sentences([change(key, gain) for key, gain in gains.items()])
    assert len(said) == len(expected)
    assert all(one.startswith(start) for one, start in zip(said, expected, strict=True))


def test_gains_are_improvements_in_either_direction() -> None:
    path = Ablation(2.0, (Step("x", 1.5), Step("y", 1.6)))
    found = changes(path, XY, maximize=False)
    assert [c.gain for c in found] == pytest.approx([0.5, -0.1])
    assert "x (1 -> 2)" in table(2.0, found, "default config")


def test_a_line_names_the_values_that_came_with_an_option() -> None:
    values = {"model.hidden": (None, "[84]"), "optimizer.lr": ("0.1", "0.2")}
    group, other = Difference("model", "cnn", "lenet", values), Difference("x", "1", "2")
    path = Ablation(0.0, (Step("x", 0.1), Step("model", 0.3)))
    found = changes(path, [group, other], maximize=True)
    assert [c.text for c in found] == ["x (1 -> 2)", "model (cnn -> lenet)"]
    assert companions(found) == ["with model=lenet: model.hidden=[84] optimizer.lr=0.2"]


def test_a_run_that_failed_is_the_worst_and_has_no_gain() -> None:
    known = {Point(): 0.5, Point("x"): -math.inf, Point("y"): -math.inf, Point("xy"): 0.9}
    found = changes(ablation(["x", "y"], known, True), XY, maximize=True)
    assert [(c.key, c.value, c.has_failed) for c in found] == [
        ("x", -math.inf, True),
        ("y", 0.9, False),
    ]
    rows = [line.split() for line in table(0.5, found, "default config").splitlines()[-2:]]
    assert rows == [["x", "(1", "->", "2)", "failed"], ["y", "(3", "->", "4)", "0.9000", "+0.4000"]]
    assert sentences(found)[0] == "After x changed, the run failed; a later change cured it."
    assert "y (3 -> 4) mattered most: it brought +0.4000" in sentences(found)[1]


def test_a_default_config_that_failed_has_no_value() -> None:
    known = {Point(): math.inf, Point("x"): math.inf, Point("y"): 0.7, Point("xy"): 0.5}
    found = changes(ablation(["x", "y"], known, False), XY, maximize=False)
    assert [c.key for c in found] == ["y", "x"]
    assert math.isnan(found[0].gain)
    assert found[1].gain == pytest.approx(0.2)
    cured = "The run of the default config failed; with y (3 -> 4) it did not."
    assert sentences(found)[0] == cured
    assert "failed" in table(math.inf, found, "default config")
