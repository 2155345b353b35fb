from datetime import datetime

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.curve import (
    LOOKS_KEY,
    PLACE_KEY,
    Place,
    Stretch,
    curve_of,
    end_of,
    is_paused,
    seconds_of,
    start_of,
    taken_over,
    was_promoted,
)

START = datetime(2026, 1, 1)
BEGIN = START.timestamp()
STRETCH = Stretch(BEGIN - 50, BEGIN - 20, "host 7")
PAUSED = {PLACE_KEY: Place(1, True, 5.0, (STRETCH,)).record()}


def test_a_place_survives_its_record() -> None:
    trial = create_trial(state=TrialState.WAITING, system_attrs=PAUSED)
    assert Place.of(trial) == Place(1, True, 5.0, (STRETCH,))
    assert Place.of(create_trial(state=TrialState.WAITING)) == Place()
    later = {PLACE_KEY: PAUSED[PLACE_KEY] | {"of a later version": 1}}
    assert Place.of(create_trial(state=TrialState.WAITING, system_attrs=later)).decided_at == 1


def test_a_trial_that_an_earlier_version_has_let_go_on_was_let_go_on_at_its_last_value() -> None:
    record = {key: value for key, value in PAUSED[PLACE_KEY].items() if key != "decided_at"}
    for target, decided_at in ((0, 0), (2, 3)):
        trial = create_trial(
            state=TrialState.WAITING,
            intermediate_values=dict.fromkeys(range(3), 0.5),
            system_attrs={PLACE_KEY: record | {"target": target}},
        )
        assert Place.of(trial).decided_at == decided_at


@pytest.mark.parametrize("steps", [(0, 1, 2), (1, 2, 3), (100, 200, 300)])
def test_whole_steps_count_as_epochs(steps) -> None:
    trial = create_trial(
        value=1.0,
        intermediate_values={step: float(step) for step in steps},
        system_attrs={LOOKS_KEY: [[0.25, 9.0]]},
    )
    assert [epochs for epochs, _ in curve_of(trial)] == [0.25, 1, 2, 3]
    assert [value for _, value in curve_of(trial)] == [9.0, *map(float, steps)]


def test_only_a_waiting_trial_is_paused() -> None:
    assert is_paused(create_trial(state=TrialState.WAITING, system_attrs=PAUSED))
    assert not is_paused(create_trial(state=TrialState.RUNNING, system_attrs=PAUSED))
    assert not is_paused(create_trial(state=TrialState.WAITING))


def test_a_promoted_trial_was_paused_and_taken_up_again() -> None:
    twice = {PLACE_KEY: Place(2, True, None, (STRETCH, STRETCH)).record()}
    paused = [create_trial(state=TrialState.WAITING, system_attrs=a) for a in (PAUSED, twice)]
    running = create_trial(state=TrialState.RUNNING, system_attrs=PAUSED)
    assert [was_promoted(t) for t in (*paused, running)] == [False, True, True]
    assert not was_promoted(create_trial(value=1.0))


def test_the_time_in_which_a_trial_was_paused_does_not_count() -> None:
    trial = create_trial(state=TrialState.WAITING, system_attrs=PAUSED)
    assert (seconds_of(trial, BEGIN + 7), end_of(trial)) == (30, BEGIN - 20)
    trial.state, trial.datetime_start = TrialState.RUNNING, START
    assert start_of(trial) == BEGIN
    assert (seconds_of(trial, BEGIN + 7), end_of(trial)) == (37, None)


def test_a_trial_that_a_dead_worker_had_is_timed_from_the_next_one_on() -> None:
    taken_over = {PLACE_KEY: Place(stretches=(STRETCH,), started=BEGIN + 900).record()}
    trial = create_trial(state=TrialState.RUNNING, system_attrs=taken_over)
    trial.datetime_start = START
    assert seconds_of(trial, BEGIN + 907) == 37


def test_a_dead_worker_whose_clock_was_ahead_takes_no_time_from_the_next_one() -> None:
    taken = {PLACE_KEY: Place(started=BEGIN - 3600).record()}
    trial = create_trial(state=TrialState.RUNNING, system_attrs=taken)
    trial.datetime_start = START
    assert seconds_of(trial, BEGIN - 3593) == 7


def test_the_epochs_of_dead_workers_have_no_known_time() -> None:
    trial = create_trial(
        state=TrialState.RUNNING,
        intermediate_values=dict.fromkeys(range(15), 0.5),
        system_attrs={LOOKS_KEY: [[0.25, 0.9]]},
    )
    place = taken_over(trial, 0, BEGIN)
    assert (place.untimed, place.started) == (15, BEGIN)
    trial.system_attrs[PLACE_KEY] = place.record()
    trial.intermediate_values[15] = 0.5
    assert taken_over(trial, 16, BEGIN).untimed == 16
    assert taken_over(trial, 17, BEGIN).untimed == 15
