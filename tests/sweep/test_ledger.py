import time
from dataclasses import replace
from datetime import timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.errors import MovedError
from sweeper.sweep.budget import (
    EXHAUSTED,
    FAILURE_KEY,
    FATAL_KEY,
    IMPORTED_KEY,
    SURPLUS,
    Budget,
    was_not_needed,
)
from sweeper.sweep.curve import PLACE_KEY, Place, Stretch, curve_of, is_paused
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.ledger import Ledger, waiting_line
from sweeper.sweep.pausing import Pausing
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.stop_rule import StopRule
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import open_study, set_aside, set_folder_aside

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


def states(storage):
    return [t.state for t in storage.get_all_trials(0)]


def fixed_params(storage, claim):
    return storage.get_trial(claim.trial_id).system_attrs["fixed_params"]


def abandon(storage, claim):
    """Change the lease to that of a process that does not exist."""
    lease = replace(claim.lease, pid=2**22 + 1)
    storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, lease.record())


def test_no_more_trials_are_claimed_than_the_budget_allows(make_ledger) -> None:
    ledger = make_ledger(n_trials=2)
    assert [c and c.number for c in (ledger.claim(), ledger.claim(), ledger.claim())] == [
        0,
        1,
        None,
    ]


def test_an_attribute_is_written_only_while_the_trial_belongs_to_its_worker(
    make_ledger, storage
) -> None:
    ledger = make_ledger()
    claim = ledger.claim()
    assert ledger.keep(claim, "repeats", [1])
    storage.set_trial_state_values(claim.trial_id, FAIL)  # as another host may do
    assert not ledger.keep(claim, "repeats", [1, 2])
    assert storage.get_trial(claim.trial_id).user_attrs["repeats"] == [1]


def test_a_failed_trial_does_not_count_towards_the_budget(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=1)
    ledger.finish(ledger.claim(), FAIL)
    assert ledger.finish(ledger.claim(), COMPLETE, [1.0])
    assert ledger.claim() is None
    assert states(storage) == [FAIL, COMPLETE]


def test_a_failed_point_of_a_grid_is_run_again_by_a_later_command(make_ledger, storage) -> None:
    grid = [{"x": 1}, {"x": 2}]
    ledger = make_ledger(n_trials=2, exhaustive=True, grid=grid)
    ledger.finish(ledger.claim(), FAIL)
    assert fixed_params(storage, ledger.claim()) == {"x": 2}
    assert ledger.claim() is None
    later = make_ledger(n_trials=2, exhaustive=True, failed_before={0}, grid=grid).claim()
    assert (later.number, fixed_params(storage, later)) == (2, {"x": 1})


def test_a_finite_space_has_no_room_for_a_point_that_failed(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=2, n_points=2)
    ledger.finish(ledger.claim(), FAIL)
    assert ledger.finish(ledger.claim(), COMPLETE, [1.0])
    assert ledger.claim() is None
    assert not ledger.has_work()
    assert make_ledger(n_trials=2, n_points=2, failed_before={0}).has_work()


@pytest.mark.parametrize(
    ("attrs", "for_good"), [({FATAL_KEY: True}, False), ({FAILURE_KEY: EXHAUSTED}, True)]
)
def test_some_failures_end_the_study(make_ledger, storage, attrs, for_good) -> None:
    ledger = make_ledger(n_trials=9)
    ledger.finish(ledger.claim(), FAIL, user_attrs=attrs)
    assert ledger.claim() is None
    later = make_ledger(n_trials=9, failed_before={0})
    assert (later.claim() is None) == for_good


def test_no_failure_is_fatal_if_all_may_fail(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=2, max_failure_rate=1.0)
    ledger.finish(ledger.claim(), FAIL, user_attrs={FATAL_KEY: True})
    ledger.finish(ledger.claim(), FAIL, user_attrs={FATAL_KEY: True})
    assert ledger.claim() is None
    assert not ledger.budget.too_many_failed(storage.get_all_trials(0))


def test_without_n_trials_the_rate_is_that_of_the_trials_so_far(make_ledger, storage) -> None:
    budget = make_ledger(n_trials=None, max_failure_rate=0.2).budget
    failed = [create_trial(state=FAIL)] * 10
    assert not budget.too_many_failed([*failed, *[create_trial(value=1.0)] * 40])
    assert budget.too_many_failed([*failed, *[create_trial(value=1.0)] * 39])
    assert not budget.too_many_failed(failed[:4])


def test_a_stop_rule_ends_the_study(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=9, stop=StopRule(0.5, None, maximize=True))
    ledger.finish(ledger.claim(), COMPLETE, [0.4])
    ledger.finish(ledger.claim(), COMPLETE, [0.5])
    assert ledger.claim() is None


@pytest.mark.parametrize("is_pause", [False, True])
def test_patience_counts_trials_as_they_end_whatever_the_clocks_of_their_hosts_say(
    make_ledger, storage, reported, is_pause
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    claims = [reported(ledger, value) for value in (0.6, 0.5, 0.4)]
    for claim, value in zip(reversed(claims), (0.4, 0.5, 0.6), strict=True):
        assert ledger.pause(claim) if is_pause else ledger.finish(claim, COMPLETE, [value])
    best = (trials := storage.get_all_trials(0))[0]
    if is_pause:
        best.system_attrs[PLACE_KEY] = Place(stretches=(Stretch(0, 1, "slow"),)).record()
    else:
        best.datetime_complete -= timedelta(hours=2)
    assert StopRule(None, 2, maximize=True).reason(trials) is None
    assert StopRule(None, 2, maximize=False).reason(trials) is not None


def test_a_trial_of_another_study_does_not_count(make_ledger, storage) -> None:
    imported = create_trial(value=1.0, user_attrs={IMPORTED_KEY: True})
    storage.create_new_trial(0, template_trial=imported)
    ledger = make_ledger(n_trials=1, stop=StopRule(1.0, None, maximize=True))
    assert ledger.claim().number == 1
    assert ledger.claim() is None


def test_a_dead_workers_trial_is_claimed_first_and_keeps_its_number(make_ledger, storage) -> None:
    ledger = make_ledger()
    dead = ledger.claim()
    abandon(storage, dead)
    retry = ledger.claim()
    assert (retry.number, retry.attempt, retry.lease.deaths) == (dead.number, 1, 1)
    assert retry.lease.token != dead.lease.token


def test_a_trial_that_keeps_killing_its_worker_is_failed_with_the_reason(
    make_ledger, storage
) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    for _ in range(2):
        abandon(storage, ledger.claim())
    assert ledger.claim().number == 1
    first = storage.get_all_trials(0)[0]
    assert first.state == FAIL
    assert "its worker died 2 times without progress" in first.user_attrs[FAILURE_KEY]


def test_without_retries_a_trial_fails_with_the_first_death_whatever_its_progress(
    make_ledger, storage, reported
) -> None:
    ledger = make_ledger(n_trials=1, max_retries=0)
    abandon(storage, reported(ledger, 0.5))
    ledger.claim()
    [first, _] = storage.get_all_trials(0)
    assert first.user_attrs[FAILURE_KEY].startswith("its worker died; the last one was process ")


def test_a_trial_whose_end_was_cut_short_by_a_death_is_run_and_counts(make_ledger, storage) -> None:
    """The reason is written before the state."""
    ledger = make_ledger(n_trials=2)
    for reason in (SURPLUS, EXHAUSTED):
        dead = ledger.claim()
        storage.set_trial_user_attr(dead.trial_id, FAILURE_KEY, reason)
        abandon(storage, dead)
        assert not was_not_needed(ledger.stored(dead))
        assert not ledger.budget.has_ended(ledger.trials())
        assert ledger.finish(ledger.claim(), COMPLETE, [1.0])
    assert not any(map(was_not_needed, ledger.trials()))


@pytest.mark.parametrize(("steps", "deaths"), [([1], 0), ([], 1)])
def test_a_trial_that_begins_anew_with_longer_runs_makes_progress_again(
    make_ledger, storage, reported, steps, deaths
) -> None:
    ledger = make_ledger(n_trials=1)
    first = reported(ledger, 0.5)
    ledger.keep(first, "repeats", [[0.5]])
    ledger.note_step(first, 10**9)  # of the second seed
    ledger.release(first)
    again = ledger.claim()
    ledger.begin_anew(again)
    for step in steps:
        storage.set_trial_intermediate_value(again.trial_id, step, 0.6)
    ledger.release(again, alone=True)
    trial = ledger.stored(again)
    assert trial.user_attrs["repeats"] == []
    assert Lease.read(trial.system_attrs).deaths == deaths


def test_a_worker_that_lost_its_lease_can_neither_renew_it_nor_end_the_trial(
    make_ledger, storage
) -> None:
    ledger = make_ledger()
    lost = ledger.claim()
    abandon(storage, lost)
    successor = ledger.claim()
    assert not ledger.renew(lost)
    assert not ledger.finish(lost, COMPLETE, [1.0])
    ledger.release(lost)
    assert ledger.finish(successor, COMPLETE, [2.0])
    assert storage.get_all_trials(0)[0].value == 2.0


def test_a_released_trial_is_claimed_again_and_counts_no_death(make_ledger, storage) -> None:
    ledger = make_ledger()
    ledger.release(ledger.claim())
    assert states(storage) == [TrialState.WAITING]
    retry = ledger.claim()
    assert (retry.number, retry.attempt, retry.lease.deaths) == (0, 1, 0)


def test_enqueued_trials_are_claimed_first_and_only_within_the_budget(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=2)
    for _ in range(3):
        storage.create_new_trial(0, create_trial(state=TrialState.WAITING))
    assert [c and c.number for c in (ledger.claim(), ledger.claim(), ledger.claim())] == [
        0,
        1,
        None,
    ]


def test_a_renewal_is_counted_for_others_to_see(make_ledger, storage) -> None:
    ledger = make_ledger()
    claim = ledger.claim()
    assert ledger.renew(claim)
    assert ledger.renew(claim)
    assert Lease.read(storage.get_trial(claim.trial_id).system_attrs).renewals == 2


@pytest.mark.parametrize(("progresses", "failed"), [(False, 1), (True, 0)])
def test_only_deaths_without_progress_are_counted(make_ledger, storage, progresses, failed) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    for step in range(4):
        claim = ledger.claim()
        if progresses:
            storage.set_trial_intermediate_value(claim.trial_id, step, 0.5)
        abandon(storage, claim)
    assert states(storage).count(FAIL) == failed


@pytest.mark.parametrize("put_back", [Ledger.release, lambda ledger, _: ledger.release_command()])
def test_deaths_before_the_last_progress_are_not_counted_after_a_trial_was_put_back(
    make_ledger, storage, put_back
) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    abandon(storage, ledger.claim())
    claim = ledger.claim()
    storage.set_trial_intermediate_value(claim.trial_id, 0, 0.5)
    if put_back is not Ledger.release:
        abandon(storage, claim)
    put_back(ledger, claim)
    abandon(storage, ledger.claim())
    retry = ledger.claim()
    assert (retry.number, retry.lease.deaths) == (0, 1)


def test_a_step_counts_as_progress_where_reports_are_not_kept(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    for step in range(4):
        claim = ledger.claim()
        ledger.note_step(claim, step)
        abandon(storage, claim)
    assert states(storage) == [TrialState.RUNNING]


def test_trials_that_a_command_left_behind_are_put_back_without_a_death(
    make_ledger, storage, tmp_path
) -> None:
    ledger = make_ledger(n_trials=3)
    others, own, _ = ledger.claim(), ledger.claim(), ledger.claim()
    for claim, command in ((others, "other"), (own, "")):
        lease = replace(claim.lease, pid=2**22 + 1, command=command)
        storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, lease.record())
    ledger.release_command()
    waiting = TrialState.WAITING
    assert states(storage) == [TrialState.RUNNING, waiting, TrialState.RUNNING]
    assert Lease.read(storage.get_trial(own.trial_id).system_attrs).deaths == 0


def test_a_command_that_ended_is_known_to_its_workers(make_ledger) -> None:
    ledger = make_ledger()
    assert not ledger.command_has_ended()
    ledger.end_command()
    assert ledger.command_has_ended()


def test_a_worker_waits_for_what_it_cannot_know_yet(make_ledger, storage, monkeypatch) -> None:
    ledger = make_ledger(n_trials=1, lease_seconds=60)
    lost = ledger.claim()
    elsewhere = replace(lost.lease, host="elsewhere")
    storage.set_trial_system_attr(lost.trial_id, LEASE_KEY, elsewhere.record())
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert ledger.claim().number == lost.number


def test_a_worker_does_not_wait_for_a_trial_that_is_alive_elsewhere(
    make_ledger, storage, monkeypatch
) -> None:
    ledger = make_ledger(n_trials=1, lease_seconds=60)
    claim = ledger.claim()

    def renew(_):
        lease = Lease.read(storage.get_trial(claim.trial_id).system_attrs)
        lease = replace(lease, host="elsewhere", renewals=lease.renewals + 1)
        storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, lease.record())

    renew(None)
    monkeypatch.setattr(time, "sleep", renew)
    assert ledger.claim() is None
    assert states(storage) == [TrialState.RUNNING]


def test_a_waiting_trial_whose_worker_died_before_it_wrote_the_lease_is_claimed_at_once(
    make_ledger, storage, monkeypatch
) -> None:
    ledger = make_ledger()
    ledger.release(ledger.claim())
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_write_lease", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ledger.claim()
    assert states(storage) == [TrialState.RUNNING]
    assert (ledger.claim().number, ledger.claim().number) == (0, 1)


def test_a_claim_that_did_not_reach_the_study_is_forgotten_once_another_host_has_the_trial(
    make_ledger, storage, tmp_path, monkeypatch
) -> None:
    ledger = make_ledger(n_trials=1)
    ledger.release(ledger.claim())
    with monkeypatch.context() as patch:
        patch.setattr(storage, "set_trial_state_values", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ledger.claim()
    (tmp_path / "other").mkdir()
    other = Ledger(open_study("s", storage), storage, tmp_path / "other", Budget(1))
    claim = other.claim()
    assert not ledger.has_work()
    assert ledger.claim() is None
    assert other.owns(claim)


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_worker_whose_trial_is_surplus_takes_one_that_was_put_back(
    make_ledger, storage, tmp_path, monkeypatch
) -> None:
    ledger, create = make_ledger(n_trials=1), storage.create_new_trial
    (tmp_path / "other").mkdir()
    other = Ledger(open_study("s", storage), storage, tmp_path / "other", Budget(1))

    def create_after_other(*arguments, **keywords):
        monkeypatch.setattr(storage, "create_new_trial", create)
        other.release(other.claim())
        return create(*arguments, **keywords)

    monkeypatch.setattr(storage, "create_new_trial", create_after_other)
    assert ledger.claim().number == 0
    assert states(storage) == [TrialState.RUNNING, FAIL]


def test_a_surplus_trial_of_a_worker_in_another_folder_fails(
    make_ledger, storage, monkeypatch
) -> None:
    ledger = make_ledger(n_trials=1)
    before = ledger.trials()
    make_ledger(n_trials=1).claim()
    reads = iter([before])
    monkeypatch.setattr(ledger, "trials", lambda: next(reads, storage.get_all_trials(0)))
    assert ledger.claim() is None
    assert states(storage) == [TrialState.RUNNING, FAIL]
    assert storage.get_all_trials(0)[1].user_attrs[FAILURE_KEY] == SURPLUS


@pytest.mark.parametrize(
    ("keys", "has_claim"),
    [({"deadline": 1.0}, False), ({"max_failure_rate": 0.0}, False), ({}, True)],
)
def test_deadline_and_failures_end_a_study(make_ledger, keys, has_claim) -> None:
    ledger = make_ledger(n_trials=None, **keys)
    first = make_ledger(n_trials=None).claim()
    ledger.finish(first, FAIL)
    assert (ledger.claim() is not None) is has_claim


def test_a_trial_that_is_not_admitted_is_no_work(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=1)
    ledger.claim()
    storage.create_new_trial(0, create_trial(state=TrialState.WAITING))
    assert not ledger.has_work()


def test_the_points_of_a_grid_are_counted_once(make_ledger, storage) -> None:
    grid = [{"x": 1}, {"x": 2}]
    early = make_ledger(n_trials=2, exhaustive=True, grid=grid)
    early.finish(early.claim(), FAIL)
    storage.create_new_trial(
        0, create_trial(state=FAIL, system_attrs={"sweeper:point": 0})
    )  # a worker that joined later has run the point again
    assert early.claim() is not None


def test_a_worker_that_is_asked_to_end_before_any_progress_counts_as_dead(
    make_ledger, storage
) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    ledger.release(ledger.claim(), alone=True)
    ledger.release(ledger.claim(), alone=True)
    assert ledger.claim().number == 1
    assert states(storage) == [FAIL, TrialState.RUNNING]


def test_a_worker_that_is_asked_to_end_after_progress_counts_no_death(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=1, max_retries=1)
    for step in range(4):
        claim = ledger.claim()
        storage.set_trial_intermediate_value(claim.trial_id, step, 0.5)
        ledger.release(claim, alone=True)
    assert states(storage) == [TrialState.WAITING]


PROMOTING = {"promotion": Promotion(3, 1, 1, maximize=False, pauses=True)}


def test_a_paused_trial_counts_and_is_promoted_when_it_is_the_best_of_three(
    make_ledger, storage, pause
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    for value in (0.3, 0.1, 0.2):
        pause(ledger, value)
    assert ledger.budget.n_finished(storage.get_all_trials(0)) == 3
    promoted = ledger.claim()
    assert (promoted.number, promoted.attempt) == (1, 1)
    assert not is_paused(storage.get_all_trials(0)[1])
    assert ledger.claim().number == 3


def test_a_study_ends_when_its_winner_is_complete_and_the_others_wait(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=3, **PROMOTING)
    claims = [ledger.claim() for _ in range(3)]
    for claim, value, is_paused_there in zip(
        claims, (0.3, 0.1, 0.2), (False, False, True), strict=True
    ):
        storage.set_trial_intermediate_value(claim.trial_id, 0, value)
        assert Pausing(ledger, claim).pauses() == is_paused_there
    ledger.pause(claims[2])
    assert not ledger.budget.has_ended(storage.get_all_trials(0))
    assert all(ledger.finish(claim, COMPLETE, [0.1]) for claim in claims[:2])
    assert ledger.claim() is None
    assert not ledger.has_work()
    assert ledger.budget.has_ended(storage.get_all_trials(0))
    assert make_ledger(n_trials=4, **PROMOTING).has_work()


def test_a_trial_that_was_promoted_and_paused_again_does_not_keep_a_study_from_its_end(
    make_ledger, storage, reported
) -> None:
    one = make_ledger(n_trials=1, **PROMOTING)
    for value in (0.5, 0.4):
        one.pause(reported(one, value))
    assert Place.of(storage.get_all_trials(0)[0]).n_pauses == 2
    two = make_ledger(n_trials=2, stop=StopRule(0.1, None, maximize=False), **PROMOTING)
    assert not two.budget.has_ended(storage.get_all_trials(0))
    assert two.finish(reported(two, 0.1), COMPLETE, [0.1])
    assert two.claim() is None
    assert two.budget.is_spent(storage.get_all_trials(0), time.time())
    assert two.budget.has_ended(storage.get_all_trials(0))


def test_an_abandoned_trial_comes_before_a_promoted_one(make_ledger, storage) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    claims = [ledger.claim() for _ in range(4)]
    for claim, value in zip(claims[:3], (0.3, 0.1, 0.2), strict=True):
        storage.set_trial_intermediate_value(claim.trial_id, 0, value)
        ledger.pause(claim)
    abandon(storage, claims[3])
    assert [ledger.claim().number, ledger.claim().number] == [3, 1]


def test_near_the_time_limit_the_foremost_trial_goes_on_first(
    make_ledger, storage, reported
) -> None:
    keys = {"n_trials": 9, **PROMOTING}
    ledger = make_ledger(**keys)
    first = reported(ledger, 0.3, 0.3, 0.3)
    Pausing(ledger, first).note_length(30.0)
    ledger.pause(first)
    # It has run for 100 seconds, so that its other 27 epochs need about 900.
    place = replace(Place.of(storage.get_trial(first.trial_id)), stretches=(Stretch(0, 100, "w"),))
    storage.set_trial_system_attr(first.trial_id, PLACE_KEY, place.record())
    second = reported(ledger, 0.1)
    assert make_ledger(**keys, deadline=time.time() + 9000).claim().number == 2
    short = make_ledger(**keys, deadline=time.time() + 1000)
    assert Pausing(short, second).pauses()
    assert [short.claim().number, short.claim().number] == [0, 3]


def test_near_the_time_limit_the_foremost_trial_goes_on_first_though_its_worker_died(
    make_ledger, storage, reported
) -> None:
    begun = make_ledger(n_trials=9, **PROMOTING)
    other, foremost, running = (
        reported(begun, 0.2), reported(begun, 0.3, 0.3, 0.3), reported(begun, 0.1)
    )  # fmt: skip
    stretch = Stretch(0, 100, "w", is_pause=False)
    place = Place(decided_at=1.0, length=30.0, stretches=(stretch,))
    begun.write_place(foremost.trial_id, place)
    # It has made no progress since it was taken up, an hour ago.
    taken_up = replace(foremost, lease=replace(foremost.lease, progress=3))
    begun.write_place(foremost.trial_id, replace(place, started=time.time() - 3600))
    abandon(storage, other)
    abandon(storage, taken_up)
    ample = make_ledger(n_trials=9, deadline=time.time() + 9000, **PROMOTING)
    assert ample.urgent(ample.trials()) is None
    ledger = make_ledger(n_trials=9, deadline=time.time() + 500, **PROMOTING)
    assert Pausing(ledger, running).pauses()
    assert ledger.claim().number == foremost.number


@pytest.mark.parametrize("leave", [Ledger.pause, Ledger.release])
def test_near_the_time_limit_no_enqueued_trial_comes_before_the_foremost_one(
    make_ledger, storage, reported, leave
) -> None:
    for _ in range(4):
        storage.create_new_trial(0, create_trial(state=TrialState.WAITING))
    begun = make_ledger(n_trials=9, **PROMOTING)
    first = begun.claim()
    foremost, running = reported(begun, 0.3, 0.3, 0.3), reported(begun, 0.1)
    begun.release(first)
    leave(begun, foremost)
    stretch = Stretch(0, 100, "w", is_pause=leave is Ledger.pause)
    place = replace(
        Place.of(storage.get_trial(foremost.trial_id)), length=30.0, stretches=(stretch,)
    )
    storage.set_trial_system_attr(foremost.trial_id, PLACE_KEY, place.record())
    ledger = make_ledger(n_trials=9, deadline=time.time() + 1000, **PROMOTING)
    assert Pausing(ledger, running).pauses()
    assert ledger.has_work()
    assert ledger.claim().number == foremost.number


def test_no_trial_is_paused_for_a_foremost_one_that_nobody_may_run(
    make_ledger, storage, reported
) -> None:
    before = make_ledger(n_trials=3, **PROMOTING)
    foremost, running = reported(before, 0.3, 0.3, 0.3), reported(before, 0.1)
    place = Place(decided_at=1.0, length=30.0, stretches=(Stretch(0, 100, "w", is_pause=False),))
    before.write_place(running.trial_id, replace(place, stretches=()))
    before.release(foremost)
    before.write_place(foremost.trial_id, place)
    keys = {"n_trials": 1, **PROMOTING}
    assert not Pausing(make_ledger(deadline=time.time() + 1000, **keys), running).pauses()


def test_a_value_from_within_an_epoch_is_recorded_once(make_ledger, storage) -> None:
    ledger = make_ledger(**PROMOTING)
    claim = ledger.claim()
    for value in (0.5, 0.7):
        ledger.note_look(claim, 0.25, value)
    assert curve_of(storage.get_trial(claim.trial_id)) == [(0.25, 0.5)]


def test_a_trial_that_was_put_back_keeps_the_time_that_it_took(
    make_ledger, storage, reported
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    claim = reported(ledger, 0.5)
    ledger.release(claim)
    (stretch,) = Place.of(storage.get_trial(claim.trial_id)).stretches
    assert (stretch.worker, stretch.is_pause) == (claim.lease.worker, False)
    assert not is_paused(storage.get_trial(claim.trial_id))
    again = ledger.claim()
    assert (again.number, again.attempt) == (0, 1)
    abandon(storage, again)
    ledger.claim()
    taken = Place.of(storage.get_trial(claim.trial_id))
    assert taken.started == pytest.approx(time.time(), abs=9)
    assert taken.untimed == 0


def test_the_epochs_of_a_worker_that_died_are_not_timed(make_ledger, storage, reported) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    ledger.release(reported(ledger, 0.5))
    abandon(storage, reported(ledger, 0.4, 0.3))
    assert Place.of(storage.get_trial(ledger.claim().trial_id)).untimed == 2


def test_a_stop_rule_leaves_the_foremost_trials_to_be_finished(make_ledger, storage, pause) -> None:
    ledger = make_ledger(n_trials=9, stop=StopRule(None, 1, maximize=False), **PROMOTING)
    pause(ledger, 0.1)
    pause(ledger, 0.2)
    assert ledger.budget.stop_reason(storage.get_all_trials(0)) is not None
    assert ledger.has_work()
    claim = ledger.claim()
    assert claim.number == 0
    assert ledger.claim() is None
    assert ledger.finish(claim, COMPLETE, [0.1])
    assert not ledger.has_work()
    assert ledger.budget.has_ended(storage.get_all_trials(0))


@pytest.mark.parametrize("ends_complete", [False, True])
def test_a_trial_that_is_trained_on_after_a_stop_rule_does_not_start_the_study_again(
    make_ledger, storage, pause, reported, ends_complete
) -> None:
    ledger = make_ledger(n_trials=9, stop=StopRule(None, 1, maximize=False), **PROMOTING)
    pause(ledger, 0.1)
    pause(ledger, 0.2)
    late = reported(ledger, 0.05)
    assert ledger.finish(late, COMPLETE, [0.05]) if ends_complete else ledger.pause(late)
    assert ledger.budget.stop_reason(storage.get_all_trials(0)) is not None


def test_patience_that_is_added_counts_from_the_best_value_of_a_promoted_trial(
    make_ledger, storage, pause, reported
) -> None:
    without = make_ledger(n_trials=9, **PROMOTING)
    for value in (0.1, 0.3, 0.2):
        pause(without, value)
    assert without.finish(reported(without, 0.05), COMPLETE, [0.05])
    pause(without, 0.4)
    trials = storage.get_all_trials(0)
    assert [trial.value for trial in trials] == [0.05, None, None, None]
    assert StopRule(None, 2, maximize=False).reason(trials) is None
    assert StopRule(None, 1, maximize=False).reason(trials) is not None


@pytest.mark.parametrize(
    "leave", [Ledger.release, lambda ledger, claim: abandon(ledger._storage, claim)]
)
def test_a_trial_that_is_finished_after_a_stop_rule_goes_on_after_its_worker_left(
    make_ledger, storage, pause, leave
) -> None:
    ledger = make_ledger(n_trials=9, stop=StopRule(None, 1, maximize=False), **PROMOTING)
    pause(ledger, 0.1)
    pause(ledger, 0.2)
    leave(ledger, ledger.claim())
    assert ledger.has_work()
    assert not ledger.budget.has_ended(storage.get_all_trials(0))
    again = ledger.claim()
    assert (again.number, again.attempt) == (0, 2)
    assert not ledger.has_work()
    assert ledger.claim() is None
    assert ledger.finish(again, COMPLETE, [0.1])
    assert len(storage.get_all_trials(0)) == 2


@pytest.mark.parametrize(
    "keys",
    [{"stop": StopRule(0.5, None, maximize=False)}, {"n_trials": 1}, {"n_trials": 1, **PROMOTING}],
)
@pytest.mark.parametrize("look", [Ledger.claim, Ledger.has_work])
def test_an_abandoned_trial_that_nobody_may_run_is_put_back(
    make_ledger, storage, keys, look
) -> None:
    before = make_ledger(n_trials=3, **{k: v for k, v in keys.items() if k == "promotion"})
    done, alive, dead = before.claim(), before.claim(), before.claim()
    before.finish(done, COMPLETE, [0.5])
    abandon(storage, dead)
    ledger = make_ledger(**{"n_trials": 9} | keys)
    assert not look(ledger)
    assert states(storage) == [COMPLETE, TrialState.RUNNING, TrialState.WAITING]
    assert ledger.owns(alive)
    lease = Lease.read(storage.get_trial(dead.trial_id).system_attrs)
    assert (lease.deaths, lease.cuts) == (1, 1)
    again = make_ledger(n_trials=3).claim()
    assert (again.number, again.attempt) == (dead.number, 1)


def test_a_trial_that_a_stop_rule_leaves_abandoned_is_no_work(make_ledger, storage, pause) -> None:
    ledger = make_ledger(n_trials=9, stop=StopRule(None, 1, maximize=False), **PROMOTING)
    abandoned = ledger.claim()
    pause(ledger, 0.1)
    pause(ledger, 0.2)
    assert ledger.claim().number == 1  # promoted, and it still runs
    abandon(storage, abandoned)
    assert not ledger.has_work()
    assert ledger.claim() is None


def test_a_lower_number_of_trials_is_not_exceeded_by_those_that_wait(
    make_ledger, storage, pause
) -> None:
    ledger = make_ledger(n_trials=6, **PROMOTING)
    for value in (0.5, 0.4):
        pause(ledger, value)
    last = ledger.claim()
    assert ledger.finish(last, COMPLETE, [0.1])
    lowered = make_ledger(n_trials=2)  # without the pruner, paused trials wait like any other
    assert (lowered.claim().number, lowered.claim()) == (0, None)
    assert not lowered.has_work()


def test_a_lower_number_of_trials_is_not_exceeded_by_those_whose_workers_died(
    make_ledger, storage
) -> None:
    ledger = make_ledger(n_trials=6)
    claims = [ledger.claim() for _ in range(6)]
    for claim in claims[1:3]:
        ledger.finish(claim, COMPLETE, [0.5])
    for claim in claims[3:]:
        abandon(storage, claim)
    lowered = make_ledger(n_trials=4)
    # Two are complete and the first one runs, so that one place is left.
    retry = lowered.claim()
    assert (retry.number, lowered.claim()) == (3, None)
    assert not lowered.has_work()
    assert lowered.finish(claims[0], COMPLETE, [0.5])
    assert lowered.finish(retry, FAIL)
    assert lowered.claim().number == 4


def test_a_trial_whose_worker_died_does_not_hold_the_place_of_an_earlier_one(
    make_ledger, storage
) -> None:
    ledger = make_ledger(n_trials=3)
    done, put_back, dead = ledger.claim(), ledger.claim(), ledger.claim()
    ledger.finish(done, COMPLETE, [0.5])
    ledger.release(put_back)
    abandon(storage, dead)
    assert make_ledger(n_trials=2).has_work()
    assert make_ledger(n_trials=2).claim().number == put_back.number
    assert states(storage)[dead.number] == TrialState.WAITING


def test_a_surplus_trial_of_a_grid_whose_worker_died_before_it_failed_is_not_run(
    make_ledger, storage
) -> None:
    ledger = make_ledger(n_trials=2, exhaustive=True, grid=[{"x": 1}, {"x": 2}])
    claims = [ledger.claim(), ledger.claim()]
    attrs = storage.get_trial(claims[1].trial_id).system_attrs
    surplus = create_trial(state=TrialState.RUNNING, system_attrs=attrs)
    lease = replace(claims[1].lease, pid=2**22 + 1)
    storage.set_trial_system_attr(storage.create_new_trial(0, surplus), LEASE_KEY, lease.record())
    assert ledger.claim() is None
    assert all(ledger.finish(claim, COMPLETE, [0.5]) for claim in claims)
    assert ledger.claim() is None
    assert states(storage) == [COMPLETE, COMPLETE, TrialState.WAITING]


def test_a_promoted_trial_is_finished_after_the_number_of_trials_was_lowered(
    make_ledger, storage, pause
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    for value in (0.3, 0.1, 0.2):
        pause(ledger, value)
    promoted, running = ledger.claim(), ledger.claim()
    ledger.release(promoted)
    abandon(storage, running)
    lowered = make_ledger(n_trials=2, **PROMOTING)
    assert lowered.has_work()
    assert not lowered.budget.has_ended(storage.get_all_trials(0))
    again = lowered.claim()
    assert again.number == promoted.number
    storage.set_trial_intermediate_value(again.trial_id, 1, 0.1)
    assert lowered.finish(again, COMPLETE, [0.1])
    assert lowered.claim() is None
    assert lowered.budget.has_ended(storage.get_all_trials(0))
    assert states(storage)[running.number] == TrialState.WAITING


def test_a_command_that_does_not_pause_runs_paused_trials_whatever_the_patience(
    make_ledger, pause
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    for value in (0.1, 0.2, 0.3):
        pause(ledger, value)
    without = make_ledger(n_trials=9, stop=StopRule(None, 2, maximize=False))
    assert without.budget.stop_reason(without.trials()) is None
    assert without.claim().number == 0


def test_a_command_waits_for_a_trial_that_runs_when_the_stop_rule_is_met(
    make_ledger, storage, reported
) -> None:
    ledger = make_ledger(n_trials=None, stop=StopRule(0.1, None, maximize=False), deadline=4e9)
    ledger.claim()
    assert ledger.finish(reported(ledger, 0.05), COMPLETE, [0.05])
    trials, before, after = storage.get_all_trials(0), 4e9 - 1, 4e9
    assert ledger.budget.is_spent(trials, before)
    assert not ledger.budget.gives_up(trials, before)
    assert ledger.budget.gives_up(trials, after)


def test_a_rate_of_failures_is_not_rounded_down() -> None:
    budget = Budget(100, max_failure_rate=0.29)
    failed = [create_trial(state=FAIL) for _ in range(30)]
    assert not budget.too_many_failed(failed[:29])
    assert budget.too_many_failed(failed)


@pytest.mark.parametrize("database", [None, "sqlite:///{}/o.db"])
def test_a_worker_leaves_the_trials_of_the_study_that_took_the_place_of_its_own(
    tmp_path, refuses, database
) -> None:
    place, folder = database and database.format(tmp_path), tmp_path / "s"

    def begun() -> Ledger:
        storage = open_storage(place, folder)
        optuna.create_study(study_name="s", storage=storage)
        folder.mkdir(exist_ok=True)
        (folder / "study.yaml").touch()
        return Ledger(open_study("s", storage), storage, folder, Budget(1))

    old = begun()
    lost = old.claim()
    if place is None:
        set_folder_aside(folder)
    else:
        set_aside("s", open_storage(place, folder), folder)
    new = begun()
    claim = new.claim()
    assert not old.renew(lost)
    assert not old.owns(lost)
    assert not old.finish(lost, COMPLETE, [1.0])
    old.release(lost)
    assert new.stored(claim).state == TrialState.RUNNING
    assert new.finish(claim, COMPLETE, [2.0])
    with refuses(MovedError, "was moved away"):
        old.claim()


def test_a_lease_lasts_as_long_as_its_own_command_says(make_ledger, storage, monkeypatch) -> None:
    ledger = make_ledger(n_trials=1, lease_seconds=600)
    claim = ledger.claim()
    assert ledger.renew(claim)
    lease = Lease.read(storage.get_trial(claim.trial_id).system_attrs)
    assert lease.seconds == 600
    elsewhere = replace(lease, host="elsewhere")
    storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, elsewhere.record())
    assert waiting_line(["trial 0"], ledger.trials(), 60).startswith("Waiting up to 600 s for")
    hasty = make_ledger(n_trials=1, lease_seconds=6)
    for seconds in range(0, 600, 5):
        monkeypatch.setattr(time, "monotonic", lambda now=float(seconds): now)
        assert not hasty.is_abandoned(hasty.trials()[0])
