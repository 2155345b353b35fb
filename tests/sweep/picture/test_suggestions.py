"""What is advised after a study, from trials that are made for it."""

import pytest

from sweeper.figures.study.view import Parameter, StudyView, TrialView
from sweeper.sweep.picture.suggestions import advice

LR = Parameter("lr", low=1e-4, high=1e-1, log=True)


def study(*trials: TrialView, parameter: Parameter = LR, share: float = 1.0) -> StudyView:
    best = max((t for t in trials if t.values), key=lambda t: t.values[0], default=None)
    number = None if best is None else best.number
    shares = {parameter.name: share}
    return StudyView("s", "", ["accuracy"], [True], trials, [parameter], shares, best=number)


def with_values(parameter: Parameter, *values, **more) -> StudyView:
    """Return a study whose trials have these values of a parameter, the best one first."""
    trials = [
        TrialView(i, "complete", {parameter.name: value}, [1 - i / 100])
        for i, value in enumerate(values)
    ]
    return study(*trials, parameter=parameter, **more)


@pytest.mark.parametrize(
    ("parameter", "values", "start"),
    [
        (LR, [1.1e-4, 2e-4, 3e-4, 0.01, 0.1], "Widen lr below 0.0001: the best trial has 0.00011"),
        (LR, [0.09, 0.05, 0.08, 0.001, 1e-4], "Widen lr above 0.1: the best trial has 0.09"),
        (Parameter("n", low=2, high=9, integer=True), [9, 8, 9, 3, 2], "Widen n above 9"),
        (Parameter("b", choices=(32, 64, 128)), [128, 128, 64, 32, 32], "Try b above 128"),
        (Parameter("b", choices=(32, 64, 128)), [32, 64, 32, 128, 128], "Try b below 32"),
    ],
)
def test_a_best_value_at_an_edge_asks_for_more(parameter, values, start: str) -> None:
    assert advice(with_values(parameter, *values))[0].startswith(start)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (LR, [0.003, 0.001, 0.002, 0.1, 1e-4]),  # in the middle
        (LR, [0.09, 0.001, 0.0005, 0.1, 1e-4]),  # the others do not agree
        (Parameter("dropout", low=0, high=0.5), [0.0, 0.01, 0.02, 0.4, 0.5]),  # cannot be negative
        (Parameter("depth", low=1, high=8, integer=True), [1, 1, 2, 7, 8]),  # nor less than one
        (Parameter("momentum", low=0.0, high=1), [1.0, 0.98, 0.99, 0.4, 0.5]),  # nor more
        (Parameter("kind", choices=("a", "b", "c")), ["a", "a", "a", "b", "c"]),  # has no order
        (Parameter("flag", choices=(False, True)), [True, True, True, False, False]),
    ],
)
def test_a_best_value_elsewhere_asks_for_nothing(parameter, values) -> None:
    assert advice(with_values(parameter, *values)) == [
        "Nothing points beyond this space: no best value lies at the edge of its range."
    ]


def test_the_edge_of_a_parameter_that_does_not_matter_is_not_named() -> None:
    assert "Widen" not in advice(with_values(LR, 1e-4, 1e-4, 1e-4, 0.1, 0.1, share=0.01))[0]


def curved(*values: float) -> StudyView:
    curve = [(float(epoch), value) for epoch, value in enumerate(values, start=1)]
    return study(TrialView(0, "complete", {}, [max(values)], curve))


def test_a_best_trial_that_still_improved_asks_for_more_epochs() -> None:
    first = advice(curved(0.1, 0.5, 0.7, 0.8, 0.85, 0.9))[0]
    assert first == (
        "Train longer, such as 9 epochs: trial 0 still improved, from 0.8 after 4 epochs to 0.9 "
        "at its end."
    )


def test_one_epoch_is_one_epoch() -> None:
    view = study(TrialView(0, "complete", {}, [0.9], [(0.5, 0.1), (1.0, 0.5), (2.0, 0.9)]))
    assert "from 0.5 after 1 epoch to 0.9" in advice(view)[0]


@pytest.mark.parametrize("values", [(0.1, 0.9, 0.9, 0.89, 0.88, 0.87), (0.1, 0.9), (0.5,) * 6])
def test_a_best_trial_that_had_stopped_improving_asks_for_none(values) -> None:
    assert not any("longer" in sentence for sentence in advice(curved(*values)))


def test_failures_come_first_and_few_trials_ask_for_more() -> None:
    few = study(TrialView(0, "failed"), TrialView(1, "complete", {}, [0.5]))
    assert advice(few) == [
        "1 of 2 trials failed: find out why before you search on.",
        "Run more trials: one is too few to say what mattered.",
    ]
    assert advice(study(TrialView(0, "failed"))) == [
        "Find out why the trials failed: none has a value."
    ]


def test_equal_trials_ask_for_a_race_unless_there_was_one() -> None:
    trials = [TrialView(i, "complete", {}, [min(0.9, 0.92 - i / 50)]) for i in range(6)]
    sentence = "Compare the best 2 trials with more seeds (hydra.sweeper.finalists=2)"
    assert advice(study(*trials))[-1].startswith(sentence)
    assert not advice(study(*trials), has_race=True)[-1].startswith(sentence)


def test_trials_that_all_have_one_value_ask_for_another_search_and_not_for_a_race() -> None:
    trials = [TrialView(i, "complete", {}, [0.9]) for i in range(12)]
    assert advice(study(*trials)) == [
        "Search something else, or choose another metric: all 12 complete trials have the same "
        "value."
    ]


def test_a_study_without_a_complete_trial_has_no_best_value_to_judge() -> None:
    paused = [TrialView(i, "paused", {"lr": 0.003}, [i / 10]) for i in range(6)]
    view = StudyView("s", "", ["accuracy"], [True], paused, [LR], {})
    assert advice(view) == ["Run the study on: no trial is complete."]


def test_a_best_trial_that_came_late_asks_for_more_trials() -> None:
    trials = [TrialView(i, "complete", {"lr": 0.003}, [i / 10]) for i in range(8)]
    sentence = "Run more trials: the best one came late, as number 8 of 8."
    assert sentence in advice(study(*trials))
