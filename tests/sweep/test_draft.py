import math

import optuna
import pytest
from optuna.samplers import GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from sweeper.sweep.curve import LOOKS_KEY, PLACE_KEY, Place
from sweeper.sweep.draft import Draft, paused_as

COMPLETE, PRUNED, WAITING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING
PLACE = {PLACE_KEY: Place(is_paused=True).record()}


@pytest.fixture
def seen(storage):
    """Return a function that returns trials as samplers see them."""

    def see(*trials, state=PRUNED):
        study = optuna.create_study(storage=storage)
        study.add_trials(trials)
        draft = Draft(storage, storage.create_new_trial(study._study_id), paused_as=state)
        return draft.get_all_trials(study._study_id, states=(COMPLETE, PRUNED))

    return see


def paused(*values, looks=()):
    attrs = PLACE | {LOOKS_KEY: list(looks)}
    values = dict(enumerate(values, start=1))
    return create_trial(state=WAITING, intermediate_values=values, system_attrs=attrs)


def test_samplers_see_a_paused_trial_with_its_whole_curve(seen) -> None:
    (trial,) = seen(paused(0.4, looks=[(0.25, 0.9)]))
    assert (trial.state, trial.values) == (PRUNED, None)
    assert list(trial.intermediate_values.values()) == [0.9, 0.4]


def test_other_samplers_than_tpe_see_it_as_complete(seen) -> None:
    (trial,) = seen(paused(0.5, 0.4), state=COMPLETE)
    assert (trial.state, trial.value) == (COMPLETE, 0.4)
    assert seen(paused(math.nan), state=COMPLETE)[-1].state == PRUNED


def test_a_waiting_trial_that_was_not_run_is_not_seen(seen) -> None:
    assert seen(create_trial(state=WAITING)) == []


def test_a_trial_that_came_further_ranks_higher_for_tpe(seen) -> None:
    pruned = create_trial(state=PRUNED, intermediate_values={1: 0.1, 2: 0.1})
    early, late = seen(paused(looks=[(0.75, 0.1)]), pruned)
    assert early.last_step < late.last_step


@pytest.mark.parametrize(
    ("sampler", "state"),
    [(TPESampler, PRUNED), (GPSampler, COMPLETE), (NSGAIISampler, COMPLETE),
     (RandomSampler, COMPLETE)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_each_sampler_sees_paused_trials_as_it_can_use_them(sampler, state) -> None:
    assert paused_as(sampler()) == state
