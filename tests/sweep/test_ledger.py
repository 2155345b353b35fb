import time
from dataclasses import replace

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import FAILURE_KEY, SURPLUS
from sweeper.sweep.lease import LEASE_KEY, Lease

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


def states(storage):
    return [t.state for t in storage.get_all_trials(0)]


def given(storage, claim):
    return storage.get_trial(claim.trial_id).system_attrs["fixed_params"]


def abandon(storage, claim):
    """Make the claim look as if its worker had been killed."""
    lease = replace(claim.lease, pid=2**22 + 1)
    storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, lease.record())


def test_no_more_trials_are_claimed_than_the_budget_has(ledger) -> None:
    book = ledger(n_trials=2)
    assert [c and c.number for c in (book.claim(), book.claim(), book.claim())] == [0, 1, None]


def test_a_failed_trial_gives_its_place_back(ledger, storage) -> None:
    book = ledger(n_trials=1)
    book.finish(book.claim(), FAIL)
    assert book.finish(book.claim(), COMPLETE, [1.0])
    assert book.claim() is None
    assert states(storage) == [FAIL, COMPLETE]


def test_a_grids_failed_point_is_left_to_a_later_command(ledger, storage) -> None:
    grid = [{"x": 1}, {"x": 2}]
    book = ledger(n_trials=2, exhaustive=True, grid=grid)
    book.finish(book.claim(), FAIL)
    assert given(storage, book.claim()) == {"x": 2}
    assert book.claim() is None
    later = ledger(n_trials=2, exhaustive=True, since=time.time() + 1, grid=grid).claim()
    assert (later.number, given(storage, later)) == (2, {"x": 1})


def test_a_dead_workers_trial_is_claimed_first_and_keeps_its_number(ledger, storage) -> None:
    book = ledger()
    dead = book.claim()
    abandon(storage, dead)
    again = book.claim()
    assert (again.number, again.attempt, again.lease.deaths) == (dead.number, 1, 1)
    assert again.lease.token != dead.lease.token


def test_a_trial_that_keeps_killing_its_worker_is_failed_with_the_reason(ledger, storage) -> None:
    book = ledger(n_trials=1, max_retries=1)
    for _ in range(2):
        abandon(storage, book.claim())
    assert book.claim().number == 1
    first = storage.get_all_trials(0)[0]
    assert first.state == FAIL
    assert "its worker died 2 times" in first.user_attrs[FAILURE_KEY]


def test_who_lost_the_lease_can_neither_renew_nor_end_the_trial(ledger, storage) -> None:
    book = ledger()
    lost = book.claim()
    abandon(storage, lost)
    heir = book.claim()
    assert not book.renew(lost)
    assert not book.finish(lost, COMPLETE, [1.0])
    book.release(lost)
    assert book.finish(heir, COMPLETE, [2.0])
    assert storage.get_all_trials(0)[0].value == 2.0


def test_a_released_trial_is_claimed_again_without_a_death(ledger, storage) -> None:
    book = ledger()
    book.release(book.claim())
    assert states(storage) == [TrialState.WAITING]
    again = book.claim()
    assert (again.number, again.attempt, again.lease.deaths) == (0, 1, 0)


def test_enqueued_trials_come_first_and_none_beyond_the_budget(ledger, storage) -> None:
    book = ledger(n_trials=2)
    for _ in range(3):
        storage.create_new_trial(0, create_trial(state=TrialState.WAITING))
    assert [c and c.number for c in (book.claim(), book.claim(), book.claim())] == [0, 1, None]


def test_a_renewal_prolongs_the_lease(ledger, storage) -> None:
    book = ledger(lease_seconds=100)
    claim = book.claim()
    storage.set_trial_system_attr(
        claim.trial_id, LEASE_KEY, replace(claim.lease, expires=1.0).record()
    )
    assert book.renew(claim)
    assert Lease.read(storage.get_trial(claim.trial_id).system_attrs).expires > time.time() + 50


def test_a_worker_that_died_before_it_signed_for_a_waiting_trial_is_known(
    ledger, storage, monkeypatch
) -> None:
    book = ledger()
    book.release(book.claim())
    with monkeypatch.context() as patch:
        patch.setattr(book, "_sign", interrupt)
        with pytest.raises(KeyboardInterrupt):
            book.claim()
    assert states(storage) == [TrialState.RUNNING]
    assert (book.claim().number, book.claim().number) == (0, 1)


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("age", "number"), [(5, 1), (500, 0)])
def test_a_trial_taken_but_never_signed_for_is_freed_after_a_while(
    ledger, storage, monkeypatch, age, number
) -> None:
    book = ledger(lease_seconds=60)
    storage.create_new_trial(0)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + age)
    assert book.claim().number == number


def test_a_worker_elsewhere_that_took_the_last_place_too_gives_way(
    ledger, storage, monkeypatch
) -> None:
    book = ledger(n_trials=1)
    before = book._trials()
    ledger(n_trials=1).claim()
    seen = iter([before, before])
    monkeypatch.setattr(book, "_trials", lambda: next(seen, storage.get_all_trials(0)))
    assert book.claim() is None
    assert states(storage) == [TrialState.RUNNING, FAIL]
    assert storage.get_all_trials(0)[1].user_attrs[FAILURE_KEY] == SURPLUS


@pytest.mark.parametrize(
    ("keys", "claims"), [({"deadline": 1.0}, False), ({"max_failures": 0}, False), ({}, True)]
)
def test_time_and_failures_end_a_study(ledger, keys, claims) -> None:
    book = ledger(n_trials=None, **keys)
    first = ledger(n_trials=None).claim()
    book.finish(first, FAIL)
    assert (book.claim() is not None) is claims
