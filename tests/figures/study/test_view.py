import math

import pytest

from sweeper.figures.study.values import ValueAxis, note_of
from sweeper.figures.study.view import Parameter, StudyView, TrialView


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [
        (Parameter("lr", low=1e-4, high=1e-2, log=True), 1e-3, 0.5),
        (Parameter("width", low=1, high=5, integer=True), 2, 0.25),
        (Parameter("one", low=3, high=3), 3, 0.5),
        (Parameter("size", choices=(32, 64, 128)), 128, 5 / 6),
        (Parameter("flag", choices=(True, False)), False, 0.75),
        (Parameter("mixed", choices=(1, True)), True, 0.75),
        (Parameter("size", choices=(32, 64)), 48, math.nan),
        (Parameter("lr", low=0, high=1), "auto", math.nan),
    ],
)
def test_a_value_has_a_place_on_its_parameters_axis(parameter, value, place) -> None:
    assert parameter.position(value) == pytest.approx(place, nan_ok=True)


def test_choices_have_the_same_distance() -> None:
    ticks = Parameter("c", choices=(8, 64, 512, "all")).ticks()
    assert ticks == [(0.125, "8"), (0.375, "64"), (0.625, "512"), (0.875, "all")]


def test_a_complete_trial_is_ranked_before_one_that_came_further_and_that_before_a_better_one():
    trials = [
        TrialView(0, "paused", values=[0.9], curve=[(1.0, 0.9)]),
        TrialView(1, "pruned", values=[0.5], curve=[(3.0, 0.5)]),
        TrialView(2, "complete", values=[0.4], curve=[(9.0, 0.4)]),
        TrialView(3, "paused", values=[0.95], curve=[(1.0, 0.95)]),
        TrialView(4, "pruned", values=[math.nan], curve=[(1.0, math.nan)]),
        TrialView(5, "failed"),
    ]
    view = StudyView("s", "", ["accuracy"], [True], trials)
    assert [trial.number for trial in view.ranked] == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([], "0 trials"),
        (["complete"], "1 trial complete"),
        (["paused", "complete", "paused"], "3 trials: 1 complete, 2 paused"),
    ],
)
def test_trials_are_counted_in_words(states: list[str], text: str) -> None:
    trials = [TrialView(i, state) for i, state in enumerate(states)]
    assert StudyView("s", "", ["a"], [True], trials).counts_text == text


def test_far_worse_values_lie_at_the_edge_of_the_axis() -> None:
    axis = ValueAxis.of([0.1, 0.2, 0.3, 1e9], "loss", maximize=False)
    assert axis.high < 1
    assert axis.within(1e9) == axis.high
    assert axis.note == "1 far worse value lies at the upper edge"


def test_one_sentence_tells_what_lies_beyond_several_axes() -> None:
    loss = ValueAxis.of([0.1, 0.2, 0.3, 1e9], "loss", maximize=False)
    size = ValueAxis.of([1.0, 2.0, 3.0], "size", maximize=False)
    assert note_of([size, size]) == ""
    assert note_of([loss]) == loss.note
    assert note_of([size, loss]) == "1 far worse value lies at an edge"
    assert note_of([loss, loss]) == "2 far worse values lie at the edges"


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5], [0.0], [-1e-300, 1e300]])
def test_any_values_have_an_axis_with_ticks(values: list[float]) -> None:
    axis = ValueAxis.of(values, "accuracy", maximize=True)
    assert axis.low < axis.high
    assert axis.ticks
