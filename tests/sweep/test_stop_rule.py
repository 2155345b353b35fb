from datetime import datetime, timedelta

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.curve import END_ORDER_KEY, PLACE_KEY, Place, Stretch
from sweeper.sweep.stop_rule import StopRule

START = datetime(2026, 1, 1)


def ended(*values):
    """Return a trial for each value: complete, or pruned for None."""
    trials = []
    for number, value in enumerate(values):
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        trial = create_trial(state=state, value=value)
        trial.number, trial.datetime_complete = number, START + timedelta(seconds=number)
        trials.append(trial)
    return trials


@pytest.mark.parametrize(
    ("rule", "values", "stops"),
    [
        (StopRule(0.9, None, maximize=True), [0.5, 0.9], True),
        (StopRule(0.9, None, maximize=True), [0.5, 0.89], False),
        (StopRule(0.1, None, maximize=False), [0.5, 0.05], True),
        (StopRule(0.1, None, maximize=False), [0.5, 0.9], False),
        (StopRule(None, 2, maximize=True), [0.5, 0.6, 0.6, 0.1], True),
        (StopRule(None, 2, maximize=True), [0.5, 0.6, None, None], True),
        (StopRule(None, 2, maximize=True), [0.5, 0.4, 0.6, 0.4], False),
        (StopRule(None, 2, maximize=False), [0.5, 0.6, 0.7], True),
        (StopRule(None, 2, maximize=False), [None, None, None], False),
        (StopRule(0.9, 2, maximize=True), [0.5, 0.4, 0.3], True),
        (StopRule(0.9, 2, maximize=True), [], False),
    ],
)
def test_the_rule_is_met_by_the_value_or_by_patience(rule, values, stops) -> None:
    assert (rule.reason(ended(*values)) is not None) == stops


def test_a_paused_trial_that_is_better_is_no_miss() -> None:
    complete, *paused = ended(0.6, 0.5, 0.4)
    for trial, value in zip(paused, (0.7, 0.8), strict=True):
        place = Place(is_paused=True, stretches=(Stretch(0.0, START.timestamp() + value, "w"),))
        trial.state, trial.datetime_complete = TrialState.WAITING, None
        trial.system_attrs = {PLACE_KEY: place.record()}
        trial.intermediate_values = {0: value}
    assert StopRule(None, 2, maximize=True).reason([complete, *paused]) is None
    assert StopRule(None, 2, maximize=False).reason([complete, *paused]) is not None
    assert StopRule(0.8, None, maximize=True).reason([complete, *paused]) is None


def paused(number, *pauses, end=None, going=(), late=False):
    """Return a trial with pauses, each an order and its value; `end` is the order of its end.

    Its value is then that of its last pause, or the last one of `going`, which it reported since.
    If it is `late`, it was promoted last though the rule had ended the study.
    """
    values = [*(value for _, value in pauses), *going]
    last = len(pauses) if end is None else None
    stretches = tuple(
        Stretch(0.0, 1.0, "w", order=order, epochs=float(i), after_stop=late and i == last)
        for i, (order, _) in enumerate(pauses, start=1)
    )
    place = Place(stretches=stretches, after_stop=late)
    trial = create_trial(
        state=TrialState.RUNNING if end is None else TrialState.COMPLETE,
        value=None if end is None else values[-1],
        intermediate_values=dict(enumerate(values)),
        system_attrs={PLACE_KEY: place.record(), END_ORDER_KEY: end or 0},
    )
    trial.number = number
    return trial


BEST, MISSES = paused(1, (2, 0.6)), [paused(2, (3, 0.5)), paused(3, (4, 0.5))]


@pytest.mark.parametrize(
    ("promoted", "patience", "stops"),
    [
        # An improvement counts when the trial is paused again or ends, and not at its first pause.
        (paused(0, (1, 0.4), (5, 0.9)), 3, False),
        (paused(0, (1, 0.4), end=5, going=[0.9]), 3, False),
        (paused(0, (1, 0.4), going=[0.9]), 3, False),
        (paused(0, (1, 0.4), (5, 0.5)), 3, True),
        # A rule that has ended the study stays met while promoted trials are trained on.
        (paused(0, (1, 0.4), (5, 0.9), late=True), 2, True),
        (paused(0, (1, 0.4), end=5, going=[0.9], late=True), 2, True),
        # It stays so with less patience, and not with more.
        (paused(0, (1, 0.4), (5, 0.9), late=True), 1, True),
        (paused(0, (1, 0.4), (5, 0.9), late=True), 3, False),
        # An earlier command had no such rule.
        (paused(0, (1, 0.4), (5, 0.9)), 2, False),
        (paused(0, (1, 0.4), end=5, going=[0.9]), 2, False),
    ],
)
def test_pauses_and_ends_count_in_their_order(promoted, patience, stops) -> None:
    trials = [promoted, BEST, *MISSES]
    assert (StopRule(None, patience, maximize=True).reason(trials) is not None) == stops


def test_a_trial_that_ends_worse_than_it_was_paused_leaves_its_place_to_the_next() -> None:
    first, second, third = paused(0, (1, 0.9), end=2, going=[0.3]), paused(1, (3, 0.5)), MISSES[1]
    assert StopRule(None, 2, maximize=True).reason([first, second, third]) is None


def test_a_running_trial_that_ends_with_a_better_value_goes_on_with_the_study() -> None:
    late = paused(4, end=5, going=[0.9])
    rule = StopRule(None, 2, maximize=True)
    assert rule.reason([BEST, *MISSES]) is not None
    assert rule.reason([BEST, *MISSES, late]) is None


def test_trials_count_in_the_order_in_which_they_ended() -> None:
    first, second, third = ended(0.6, 0.5, 0.4)
    rule = StopRule(None, 2, maximize=True)
    assert rule.reason([first, second, third]) is not None
    first.datetime_complete = START + timedelta(hours=1)
    assert rule.reason([first, second, third]) is None


def test_running_failed_and_infeasible_trials_do_not_meet_the_rule() -> None:
    infeasible = create_trial(value=0.95, constraints={"size": 1.0})
    others = [create_trial(state=TrialState.FAIL), create_trial(state=TrialState.RUNNING)]
    assert StopRule(0.9, 1, maximize=True).reason([infeasible, *others]) is None
