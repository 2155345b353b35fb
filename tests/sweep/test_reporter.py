from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from sweeper import trial as current
from sweeper.sweep.curve import curve_of
from sweeper.sweep.reporter import StudyReporter
from sweeper.sweep.verdict import EveryTrialError
from sweeper.trial import TrialInfo


class AlwaysPrune(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return True


@pytest.fixture
def reporter(make_ledger, storage):
    def make(pruner=None, reason=None):
        ledger = make_ledger()
        claim = ledger.claim()
        study = optuna.load_study(study_name="s", storage=storage, pruner=pruner)
        trial = optuna.Trial(study, claim.trial_id)
        info = TrialInfo("s", claim.number, 0, Path(), {})
        guard = SimpleNamespace(reason=reason)
        return StudyReporter(info, trial, claim, ledger, guard, {"size": 9})

    return make


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, None),
        ({"pruner": AlwaysPrune()}, "pruned"),
        ({"reason": "timeout", "pruner": AlwaysPrune()}, "timeout"),
        ({"reason": "trial_timeout"}, "trial_timeout"),
        ({"reason": "interrupted"}, "interrupted"),
        ({"reason": "lost"}, "lost"),
    ],
)
def test_a_task_gets_the_reason_to_stop(reporter, keys, reason) -> None:
    with current.reported_by(reporter(**keys)):
        current.report(1.0, step=0)
        assert current.should_stop() is (reason is not None)
        assert current.must_stop_now() is (reason not in (None, "pruned"))
        assert current.stop_reason() == reason


def test_a_task_may_ask_in_the_middle_of_an_epoch(reporter) -> None:
    with current.reported_by(reporter(reason="timeout")):
        assert current.must_stop_now()
        assert current.stop_reason() == "timeout"


def test_values_and_notes_are_stored_unless_the_trial_was_lost(reporter, storage) -> None:
    for reason in (None, "lost"):
        with current.reported_by(reporter(reason=reason)):
            current.report(0.5, step=3)
            current.note("size", 7)
    owned, lost = storage.get_all_trials(0)
    assert (owned.intermediate_values, owned.user_attrs.get("size")) == ({3: 0.5}, 7)
    assert (lost.intermediate_values, lost.user_attrs.get("size")) == ({}, None)


@pytest.mark.parametrize("key", ["repeats", "deviation", "failure", "duplicate_of", "sweeper:x"])
def test_a_note_cannot_take_the_place_of_what_the_study_keeps(reporter, storage, key) -> None:
    with current.reported_by(reporter()), pytest.raises(EveryTrialError, match="another key"):
        current.note(key, 3)
    assert key not in storage.get_all_trials(0)[0].user_attrs


def test_a_pruner_is_asked_only_after_a_report(reporter) -> None:
    assert not reporter(pruner=AlwaysPrune()).should_stop()


@pytest.mark.parametrize(
    ("step", "length"), [(float("nan"), None), (float("inf"), None), (1, float("inf")), (1, 0)]
)
def test_a_step_or_length_that_is_no_number_is_refused(reporter, step, length) -> None:
    with current.reported_by(reporter()), pytest.raises(ValueError, match="must be a number"):
        current.report(0.5, step, length)


def test_fractional_steps_alone_are_positions(reporter, storage) -> None:
    with current.reported_by(reporter()):
        for step in (0.5, 1.5):
            current.report(step, step)
    assert curve_of(storage.get_all_trials(0)[0]) == [(0.5, 0.5), (1.5, 1.5)]


def test_outside_a_study_everything_is_a_no_op() -> None:
    current.report(1.0, step=0)
    current.note("size", 7)
    assert current.info() is None
    assert not current.should_stop()
    assert not current.must_stop_now()
    assert current.stop_reason() is None


@pytest.mark.parametrize(("size", "reason"), [(9, None), (12, "infeasible")])
def test_a_noted_value_above_its_bound_makes_the_trial_infeasible(
    reporter, storage, size, reason
) -> None:
    with current.reported_by(reporter()):
        current.note("size", size)
        assert current.should_stop() is (reason is not None)
        assert current.stop_reason() == reason
    assert storage.get_all_trials(0)[0].constraints == {"size": size - 9}


def test_each_note_is_compared_with_its_bound(reporter, recwarn) -> None:
    with current.reported_by(reporter()):
        current.note("size", 9)
        assert not current.should_stop()
        current.note("size", 12)
        assert current.should_stop()
    assert not recwarn.list


def test_a_step_may_be_reported_again_by_a_later_attempt(reporter, storage, recwarn) -> None:
    with current.reported_by(reporter()):
        current.report(0.5, step=0)
        current.report(0.7, step=0)
    assert storage.get_all_trials(0)[0].intermediate_values == {0: 0.5}
    assert not recwarn.list
