import math
from dataclasses import replace
from datetime import datetime

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.curve import GROWN_KEY, LOOKS_KEY, PLACE_KEY, Place, Stretch
from sweeper.sweep.promotion import Halving, Promotion

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
RULE = Promotion(reduction_factor=3, min_resource=1, finish=1, maximize=True)
STATES = {"c": COMPLETE, "r": RUNNING, "i": WAITING, "x": PRUNED, "f": FAIL}


def trial_of(number, state, values, **place):
    """Return a trial that has reported a value after each epoch; `p` is a paused one."""
    record = Place(is_paused=state == "p", **place).record()
    trial = create_trial(
        state=WAITING if state == "p" else STATES[state],
        value=values[-1] if state == "c" else None,
        intermediate_values=dict(enumerate(values)),
        system_attrs={PLACE_KEY: record},
    )
    trial.number = number
    return trial


def halving(*trials, rule=RULE):
    return Halving(rule, [trial_of(number, *each) for number, each in enumerate(trials)])


def promoted(*trials, has_room=True, rule=RULE):
    trial = halving(*trials, rule=rule).next_trial(has_room)
    return None if trial is None else trial.number


@pytest.mark.parametrize(
    ("first", "factor", "positions"),
    [(0.25, 3, [0.25, 0.75, 2, 7, 20]), (1, 4, [1, 4, 16]), (0.5, 2, [0.5, 1, 2, 4])],
)
def test_rungs_are_a_geometric_sequence_of_whole_epochs(first, factor, positions) -> None:
    rungs = Promotion(factor, first).rungs(None)
    assert [rungs.at(i) for i in range(len(positions))] == positions
    assert [rungs.n_reached(p) for p in positions] == list(range(1, len(positions) + 1))
    assert rungs.next_after(positions[0]) == positions[1]


@pytest.mark.parametrize(
    ("length", "first"), [(5, 0.25), (1, 0.25), (10, 0.5), (20, 1), (50, 2.5), (None, 1)]
)
def test_the_first_rung_is_a_twentieth_of_a_trial(length, first) -> None:
    assert Promotion().rungs(length).first == first


def test_the_best_third_of_a_rung_is_promoted_the_best_one_first() -> None:
    two = (("p", [0.1]), ("p", [0.3]))
    assert promoted(*two) is None
    assert promoted(*two, ("p", [0.2])) == 1
    assert promoted(*two, ("r", [0.4]), ("p", [0.2])) is None
    assert promoted(*two, *[("p", [0.2])] * 4) == 1


def test_a_trial_is_promoted_from_a_rung_once() -> None:
    assert promoted(("p", [0.1]), ("p", [0.3, 0.1, 0.1]), ("p", [0.2])) is None


def test_the_highest_rung_comes_first() -> None:
    low = [("p", [0.9]), ("p", [0.8]), ("p", [0.1])]
    high = [("p", [0.5, 0.5, 0.5]), ("p", [0.5, 0.5, 0.6]), ("p", [0.5, 0.5, 0.4])]
    assert promoted(*low, *high) == 4


def test_trials_are_compared_by_their_values_at_the_rung() -> None:
    assert promoted(("r", [0.1, 0.9]), ("p", [0.3]), ("p", [0.2])) == 1
    assert promoted(("x", [0.4, 0.1]), ("p", [0.3]), ("p", [0.2])) is None
    assert promoted(("f", [0.4, 0.1]), ("p", [0.3]), ("p", [0.2])) is None
    assert promoted(("p", [math.nan]), ("p", [0.3]), ("p", [0.2])) == 1
    assert promoted(("p", [0.1]), ("p", [0.3]), ("p", [0.2]), rule=Promotion(3, 1, 1)) == 0


def test_a_complete_trial_belongs_to_every_rung() -> None:
    early = ("c", [0.95])  # it has stopped by itself
    assert promoted(early, ("p", [0.5, 0.5, 0.5]), ("p", [0.5, 0.5, 0.4]), ("p", [0.9])) is None


def test_without_a_trial_to_start_the_foremost_is_trained_to_its_end() -> None:
    trials = [("p", [0.9]), ("p", [0.5, 0.5, 0.5])]
    assert promoted(*trials) is None
    assert promoted(*trials, has_room=False) == 1
    two = [("c", [0.7] * 9)] * 2
    assert promoted(*trials, *two, has_room=False) == 0  # better than the complete ones
    assert promoted(*trials, *two, ("c", [0.91] * 9), has_room=False) is None


def test_no_more_trials_are_finished_at_a_time_than_are_missing() -> None:
    trials = [("p", [0.5]), ("p", [0.4])]
    ahead, behind = ({"decided_at": 1}, {"decided_at": 0})
    running = [trial_of(2, "r", [0.6], **ahead), trial_of(3, "c", [0.7] * 9)]
    all_four = [*(trial_of(n, *t) for n, t in enumerate(trials)), *running]
    assert Halving(RULE, all_four).next_trial(has_room=False) is None
    all_four[2] = trial_of(2, "r", [], **behind)
    assert Halving(RULE, all_four).next_trial(has_room=False).number == 0


LONG = Promotion(3, 1, finish=2, maximize=True, length=8.0)


@pytest.mark.parametrize(
    ("first", "length", "race"),
    [(0.25, 5, [3, 4]), (2.5, 50, [24, 26, 28]), (1, 27, [10, 11]), (0.25, 2, [1]), (9, 100, [86])],
)
def test_from_the_last_rung_on_there_are_those_of_the_race(first, length, race) -> None:
    rungs = Promotion(3, first).rungs(length)
    n_halving = next(i for i in range(9) if rungs.is_in_race(i))
    assert rungs.at(n_halving - 1) < race[0]
    assert [rungs.at(n_halving + i) for i in range(len(race))] == race
    assert [rungs.n_reached(p) - n_halving for p in race] == list(range(1, len(race) + 1))


@pytest.mark.parametrize(("first", "length"), [(0.25, None), (8, 8), (9, 8)])
def test_there_is_no_race_without_a_rung_of_halving_before_the_end(first, length) -> None:
    rungs = Promotion(3, first).rungs(length)
    assert not rungs.has_race
    assert not any(map(rungs.is_in_race, range(9)))


def test_no_trial_more_than_finish_is_trained_to_its_end_without_a_race() -> None:
    rule = Promotion(2, 2, finish=1, maximize=True, length=5.0)  # the last rung lies at 4 of 5
    trials = [("c", [0.9] * 5), ("p", [0.5] * 4)]
    assert promoted(*trials, has_room=False, rule=rule) is None
    assert promoted(*trials, has_room=False, rule=replace(rule, length=6.0)) == 1


@pytest.mark.parametrize(
    ("others", "goes_on"),
    [([0.9, 0.5], False), ([0.9, 0.4], True), ([0.3, 0.4], True), ([0.9], True)],
)
def test_those_who_finish_are_the_best_at_every_epoch_of_the_race(others, goes_on) -> None:
    trials = [trial_of(n, "r", [0.1, 0.1, 0.1, value, 0.9]) for n, value in enumerate(others)]
    own = trial_of(len(others), "r", [0.1, 0.45, 0.1, 0.1], decided_at=3)  # it counts at its best
    assert Halving(LONG, [*trials, own]).goes_on(own, has_room=False) == goes_on


def test_a_trial_that_fell_behind_in_the_race_is_trained_on_only_if_a_better_one_fails() -> None:
    behind, complete = ("p", [0.1, 0.1, 0.1, 0.6]), ("c", [0.7] * 8)
    assert promoted(behind, complete, complete, has_room=False, rule=LONG) is None
    failed = ("f", [0.7] * 5)
    assert promoted(behind, complete, failed, has_room=False, rule=LONG) == 0


def test_one_more_trial_than_finish_comes_into_the_race() -> None:
    ahead = {"decided_at": 3}
    waiting, complete = ("p", [0.1, 0.1, 0.5]), ("c", [0.7] * 8)
    assert promoted(waiting, complete, complete, has_room=False, rule=LONG) == 0
    behind = ("p", [0.1, 0.1, 0.55, 0.6])
    assert promoted(waiting, complete, complete, behind, has_room=False, rule=LONG) is None
    trials = [trial_of(0, *waiting), *(trial_of(n, "r", [0.6] * 3, **ahead) for n in (1, 2))]
    assert Halving(LONG, trials).next_trial(has_room=False) is trials[0]
    trials.append(trial_of(3, "r", [0.6] * 3, **ahead))
    assert Halving(LONG, trials).next_trial(has_room=False) is None


@pytest.mark.parametrize(
    ("values", "has_room", "goes_on"),
    [
        ([0.3, 0.4, 0.9], True, True),
        ([0.3, 0.4, 0.2], True, False),
        ([0.3, 0.4], True, False),  # the best, but not of three
        ([0.3, 0.4], False, True),
        ([0.3, 0.2], False, False),
    ],
)
def test_a_trial_that_reaches_a_rung_goes_on_or_not(values, has_room, goes_on) -> None:
    paused = [trial_of(n, "p", [value]) for n, value in enumerate(values[:-1])]
    own = trial_of(len(paused), "r", values[-1:])
    assert Halving(RULE, [*paused, own]).goes_on(own, has_room) == goes_on


def test_the_first_of_a_rung_is_paused_while_there_are_others_to_start() -> None:
    alone = trial_of(0, "r", [0.3])
    assert not Halving(RULE, [alone]).goes_on(alone, has_room=True)
    assert Halving(RULE, [alone]).goes_on(alone, has_room=False)


def test_the_first_trial_shows_how_long_a_trial_is() -> None:
    rule = Promotion(maximize=True)
    trials = [trial_of(0, "r", [0.1]), trial_of(1, "r", [0.2])]
    assert [Halving(rule, trials).goes_on(t, True) for t in trials] == [True, False]
    trials[0] = trial_of(0, "c", [0.1] * 50)
    trials[1] = trial_of(1, "p", [0.2])
    assert Halving(rule, trials).rungs.first == 2.5
    assert Halving(rule, trials).next_trial(has_room=True).number == 1  # to its first rung


def test_the_length_is_that_of_the_user_of_a_trial_of_the_config_or_of_a_complete_one() -> None:
    silent = [trial_of(0, "c", [0.1]), trial_of(1, "c", [0.1] * 7)]
    told = [*silent, trial_of(2, "p", [0.1], length=9.0)]
    assert RULE.length_in([trial_of(0, "r", [0.1])]) is None
    assert [RULE.length_in(trials) for trials in (silent, told)] == [7, 9]
    config = replace(RULE, config_length=20.0)
    assert [config.length_in(trials) for trials in (silent, told)] == [20, 9]
    assert replace(config, length=5.0).length_in(told) == 5


def test_a_trial_that_was_complete_when_trials_were_shorter_is_not_complete_now() -> None:
    trials = [trial_of(n, "c", [0.9] * 4) for n in (0, 1)] + [trial_of(2, "p", [0.5] * 3)]
    for trial in trials[:2]:
        trial.user_attrs[GROWN_KEY] = {"epochs": 4}
    rules = (replace(RULE, grown=(("epochs", value),)) for value in (4, 8))
    short, long = (Halving(rule, trials).next_trial(has_room=False) for rule in rules)
    assert short is None
    assert long is trials[2]


def test_the_foremost_trial_needs_its_speed_times_what_is_left() -> None:
    stretch = Stretch(0.0, 10.0, "host 1")
    trials = [
        trial_of(0, "p", [0.9], length=5.0),
        trial_of(1, "p", [0.5, 0.6, 0.6], length=5.0, stretches=(stretch,)),
    ]
    found = Halving(RULE, trials)
    assert found.foremost() is trials[1]
    assert found.seconds_to_finish(trials[1], now=100.0) == pytest.approx(1.5 * 10 * 2 / 3)
    done = trial_of(2, "c", [0.6] * 5)
    assert Halving(RULE, [*trials, done]).foremost() is None


def test_a_trial_with_several_seeds_needs_the_time_of_all_of_them() -> None:
    stretch = Stretch(0.0, 10.0, "host 1")
    trial = trial_of(0, "p", [0.5, 0.6], length=5.0, stretches=(stretch,))
    found = Halving(replace(RULE, repeats=3), [trial])
    assert found.seconds_to_finish(trial, now=100.0) == pytest.approx(1.5 * 5 * (3 * 5 - 2))


def test_a_single_trial_that_is_infeasible_shows_the_length_too() -> None:
    values, constraints = {0: 0.9}, {"size": 1.0}
    trial = create_trial(state=RUNNING, intermediate_values=values, constraints=constraints)
    assert Halving(Promotion(maximize=True), [trial]).goes_on(trial, has_room=True)


def test_an_infeasible_trial_takes_no_place() -> None:
    complete = [trial_of(n, "c", [0.9] * 9) for n in (0, 1)]
    trials = [*complete, trial_of(2, "p", [0.3]), trial_of(3, "p", [0.2])]
    assert Halving(RULE, trials).next_trial(has_room=False) is None
    trials[0] = create_trial(value=0.9, intermediate_values={0: 0.9}, constraints={"size": 1.0})
    assert Halving(RULE, trials).next_trial(has_room=False) is trials[2]


def test_a_trial_that_runs_is_timed_by_its_next_report() -> None:
    trial = trial_of(0, "r", [0.5, 0.5], length=10.0)
    trial.datetime_start = datetime.fromtimestamp(0)
    seconds = Halving(RULE, [trial]).seconds_to_finish(trial, now=30.0)
    assert seconds == pytest.approx(1.5 * 8 * 30 / 3)


def test_epochs_that_took_an_unknown_time_do_not_speed_a_trial_up() -> None:
    stretch = Stretch(0.0, 60.0, "host 1")
    trial = trial_of(0, "p", [0.5] * 16, length=20.0, stretches=(stretch,), untimed=15.0)
    seconds = Halving(RULE, [trial]).seconds_to_finish(trial, now=99.0)
    assert seconds == pytest.approx(1.5 * 4 * 60)
    trial = trial_of(0, "p", [0.5] * 15, length=20.0, stretches=(stretch,), untimed=15.0)
    assert not Halving(RULE, [trial]).seconds_to_finish(trial, now=99.0)


def test_looks_within_an_epoch_are_part_of_the_curve() -> None:
    rule = Promotion(3, 0.25, maximize=True)
    trials = [trial_of(n, "p", []) for n in range(3)]
    for trial, value in zip(trials, (0.1, 0.3, 0.2), strict=True):
        trial.system_attrs[LOOKS_KEY] = [(0.25, value)]
    assert Halving(rule, trials).next_trial(has_room=True) is trials[1]
    trials[1].system_attrs[LOOKS_KEY] = [(0.25, 0.3), (0.75, 0.4)]
    assert Halving(rule, trials).next_trial(has_room=True) is None
