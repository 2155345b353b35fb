import logging
import sqlite3
import time
from collections import Counter

import optuna
import psycopg2
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    PendingRollbackError,
    ResourceClosedError,
)

from sweeper.errors import OutageError
from sweeper.locks import locked
from sweeper.sweep import database
from sweeper.sweep.budget import Budget
from sweeper.sweep.elsewhere.fitting import Fitted
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.ledger import LOCK_FILE, Ledger
from sweeper.sweep.points import FirstPoints, enqueue
from sweeper.sweep.storage import open_storage, read_trials
from sweeper.sweep.study import open_study

DISTRIBUTION = FloatDistribution(0, 1)
AWAY = OperationalError("SELECT 1", {}, Exception("the server closed the connection"))


@pytest.fixture
def storages(tmp_path, monkeypatch):
    """Two connections to a database with the study `s`, as two processes have them."""
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0.0)
    url = f"sqlite:///{tmp_path}/s.db"
    first, second = open_storage(url, tmp_path), open_storage(url, tmp_path)
    optuna.create_study(study_name="s", storage=first)
    return first, second


def running(storage) -> int:
    template = create_trial(state=TrialState.RUNNING, system_attrs={"token": "a"})
    return storage.create_new_trial(1, template)


def test_ones_own_writes_are_read_at_once(storages) -> None:
    storage, _ = storages
    read_trials(storage, 1)
    trial_id = running(storage)
    storage.set_trial_param(trial_id, "x", 0.5, DISTRIBUTION)
    storage.set_trial_intermediate_value(trial_id, 3, 0.25)
    storage.set_trial_user_attr(trial_id, "u", 1)
    storage.set_trial_system_attr(trial_id, "s", 2)
    kept = storage.get_trial(trial_id)
    storage.refresh()
    assert kept == read_trials(storage, 1)[0]
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [7.0])
    assert storage.get_trial(trial_id).value == 7.0
    assert kept.state == TrialState.RUNNING  # what was handed out does not change


def test_the_writes_of_others_are_read_after_a_refresh(storages) -> None:
    ours, theirs = storages
    assert read_trials(ours, 1) == []
    trial_id = running(theirs)
    assert ours.get_all_trials(1) == []
    assert [t._trial_id for t in read_trials(ours, 1)] == [trial_id]
    theirs.set_trial_state_values(trial_id, TrialState.FAIL)
    assert [t.state for t in read_trials(ours, 1)] == [TrialState.FAIL]


def test_a_trial_that_another_process_creates_at_the_same_time_keeps_its_number(storages) -> None:
    ours, theirs = storages
    read_trials(ours, 1)
    other, own = running(theirs), running(ours)
    numbers = {t._trial_id: t.number for t in ours.get_all_trials(1)}
    assert numbers == {other: 0, own: 1}


@pytest.fixture
def statements():
    """Count the statements that are sent to any database."""
    counter = Counter()

    def count(*_) -> None:
        counter.update(["statement"])

    event.listen(Engine, "before_cursor_execute", count)
    yield counter
    event.remove(Engine, "before_cursor_execute", count)


def test_a_trial_takes_few_statements(storages, statements, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(database, "MAX_AGE_SECONDS", 1e9)  # however slow this machine is
    storage, _ = storages
    study = open_study("s", storage, optuna.samplers.RandomSampler())
    ledger = Ledger(study, storage, tmp_path, Budget(n_trials=None))
    counts: list[int] = []
    for _ in range(4):
        before = statements.total()
        claim = ledger.claim()
        trial = optuna.Trial(study, claim.trial_id)
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 0)
        ledger.finish(claim, TrialState.COMPLETE, [0.5])
        counts.append(statements.total() - before)
    assert max(counts[1:]) <= 35, counts  # Optuna alone needs about 100


@pytest.fixture
def flaky(storages, monkeypatch):
    """Return a function that makes a method fail once, before or after it has written."""
    storage, _ = storages

    def fail(method, after):
        inner = getattr(storage._storage, method)
        failures = iter([AWAY])

        def call(*args, **kwargs):
            error = next(failures, None)
            if error is not None and not after:
                raise error
            result = inner(*args, **kwargs)
            if error is not None:
                raise error
            return result

        monkeypatch.setattr(storage._storage, method, call)
        return storage

    return fail


@pytest.mark.parametrize("after", [False, True])
def test_a_write_whose_answer_was_lost_is_not_written_twice(flaky, after) -> None:
    storage = flaky("create_new_trial", after)
    trial_id = running(storage)
    assert [t._trial_id for t in read_trials(storage, 1)] == [trial_id]
    flaky("set_trial_param", after)
    storage.set_trial_param(trial_id, "x", 0.5, DISTRIBUTION)
    flaky("set_trial_state_values", after)
    assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    [trial] = read_trials(storage, 1)
    assert (trial.params, trial.value) == ({"x": 0.5}, 1.0)


def test_a_trial_of_another_study_whose_answer_was_lost_is_not_added_twice(flaky) -> None:
    storage = flaky("create_new_trial", after=True)
    study = optuna.load_study(study_name="s", storage=storage)
    fits = [
        Fitted({"x": x}, {"x": DISTRIBUTION}, True, (x,), frozenset(), frozenset())
        for x in (0.2, 0.3)
    ]
    enqueue(study, FirstPoints(trials=fits))
    assert [t.value for t in read_trials(storage, 1)] == [0.2, 0.3]


def test_a_claim_whose_answer_was_lost_is_a_claim(flaky, tmp_path) -> None:
    storage = flaky("set_trial_state_values", after=True)
    study = open_study("s", storage)
    study.enqueue_trial({"x": 0.5})
    claim = Ledger(study, storage, tmp_path, Budget(n_trials=1, lease_seconds=0.1)).claim()
    assert claim.holds(storage.get_trial(claim.trial_id))
    assert (claim.attempt, claim.lease.deaths) == (0, 0)


@pytest.fixture
def ledgers(storages, tmp_path):
    """The ledgers of two hosts that share only the database."""
    ledgers = []
    for storage, folder in zip(storages, ("here", "there"), strict=True):
        (tmp_path / folder).mkdir()
        budget = Budget(n_trials=1)
        ledgers.append(Ledger(open_study("s", storage), storage, tmp_path / folder, budget))
    return ledgers


def test_a_trial_that_another_host_has_taken_meanwhile_is_not_claimed_again(
    storages, ledgers, monkeypatch
) -> None:
    here, there = ledgers
    optuna.load_study(study_name="s", storage=storages[0]).enqueue_trial({"x": 0.5})
    inner, claims = storages[0]._storage.set_trial_state_values, []

    def away(*args):
        monkeypatch.setattr(storages[0]._storage, "set_trial_state_values", inner)
        claims.append(there.claim())
        raise AWAY

    monkeypatch.setattr(storages[0]._storage, "set_trial_state_values", away)
    assert here.claim() is None
    assert there.owns(claims[0])
    storages[1].refresh()
    assert there.owns(claims[0])


@pytest.mark.parametrize("put_back", [Ledger.release, Ledger.pause])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_trial_that_another_host_has_taken_after_it_was_put_back_stays_there(
    storages, ledgers, monkeypatch, put_back, arrives
) -> None:
    here, there = ledgers
    claim = here.claim()
    inner, claims = storages[0]._storage.set_trial_state_values, []

    def lose_answer(*args):
        monkeypatch.setattr(storages[0]._storage, "set_trial_state_values", inner)
        if arrives:
            inner(*args)
            claims.append(there.claim())
        raise AWAY

    monkeypatch.setattr(storages[0]._storage, "set_trial_state_values", lose_answer)
    put_back(here, claim)
    [trial] = read_trials(storages[1], 1)
    assert trial.state == (TrialState.RUNNING if arrives else TrialState.WAITING)
    assert all(each.holds(trial) for each in claims)


def test_a_renewal_does_not_undo_a_claim_that_came_before_its_lock(
    storages, ledgers, monkeypatch
) -> None:
    here, _ = ledgers
    claim, successor = here.claim(), Lease.new().record()

    def take_over(_) -> None:
        storages[1].set_trial_system_attr(claim.trial_id, LEASE_KEY, successor)

    monkeypatch.setattr(here, "uncertain", take_over)  # the last step before the lock
    assert not here.renew(claim)
    [trial] = read_trials(storages[1], 1)
    assert trial.system_attrs[LEASE_KEY] == successor


@pytest.mark.parametrize(
    "act",
    [
        Ledger.release,
        Ledger.pause,
        Ledger.begin_anew,
        lambda ledger, claim: ledger.keep(claim, "repeats", [1]),
        lambda ledger, claim: ledger.finish(claim, TrialState.COMPLETE, [1.0]),
    ],
    ids=["release", "pause", "begin anew", "keep", "finish"],
)
def test_a_worker_that_read_its_trial_before_another_host_took_it_over_leaves_it(
    storages, ledgers, act
) -> None:
    here, _ = ledgers
    claim = here.claim()
    here.trials()
    storages[1].set_trial_system_attr(claim.trial_id, LEASE_KEY, Lease.new().record())
    [taken] = read_trials(storages[1], 1)
    act(here, claim)
    assert read_trials(storages[1], 1) == [taken]


def test_the_lock_is_free_while_a_renewal_waits_for_the_server(storages, flaky, tmp_path) -> None:
    storage, _ = storages
    ledger = Ledger(open_study("s", storage), storage, tmp_path, Budget(n_trials=1))
    claim = ledger.claim()
    flaky("get_all_trials", after=False)
    failing = storage._storage.get_all_trials

    def look(*args, **kwargs):
        with locked(tmp_path / LOCK_FILE, wait=False):
            return failing(*args, **kwargs)

    storage._storage.get_all_trials = look
    assert ledger.renew(claim)


def test_a_server_that_stays_away_ends_the_command(flaky, monkeypatch) -> None:
    monkeypatch.setattr(database, "OUTAGE_SECONDS", -1.0)
    storage = flaky("get_study_user_attrs", after=False)
    with pytest.raises(OutageError, match=r"away for -1 s \(.*closed the connection\)$"):
        storage.get_study_user_attrs(1)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still while nobody sleeps."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    return now


def test_once_a_call_has_given_up_the_next_ones_do_not_wait_anew(clock) -> None:
    patience, answers = database.Patience(), iter([])

    def call():
        answer = next(answers, AWAY)
        if isinstance(answer, Exception):
            raise answer
        return answer

    for waited in (300, 0):
        before = clock[0]
        with pytest.raises(OutageError):
            patience(call)
        assert clock[0] - before == pytest.approx(waited, abs=1)
    answers = iter(["back", AWAY, "here"])
    assert [patience(call), patience(call)] == ["back", "here"]


def test_a_call_that_is_never_answered_gives_up_though_others_are_answered(clock) -> None:
    patience = database.Patience()

    def call() -> None:
        patience(lambda: "here")
        raise AWAY

    with pytest.raises(OutageError):
        patience(call)
    assert clock[0] == pytest.approx(1300, abs=1)


def test_an_outage_is_told_once_and_so_is_its_end(caplog, monkeypatch) -> None:
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(database, "QUIET_SECONDS", -1.0)
    answers = iter([AWAY, AWAY, AWAY, "here"])

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with caplog.at_level(logging.WARNING):
        assert database.Patience()(call) == "here"
    assert [m.partition(" (")[0] for m in caplog.messages] == [
        "The study's database is away",
        "The study's database is back",
    ]


class BrokenError(psycopg2.DatabaseError):
    """What psycopg2 raises when a connection ends within an answer."""


def wrapped(cause: Exception) -> Exception:
    """Return an error of Optuna's, as it raises it in a commit."""
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause",
    [
        AWAY,
        DBAPIError.instance("COMMIT", {}, BrokenError("no message"), psycopg2.Error),
        DBAPIError.instance("COMMIT", {}, psycopg2.InternalError("aborted"), psycopg2.Error),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back."),
        ResourceClosedError("This Connection is closed"),
    ],
)
def test_a_connection_that_breaks_in_a_transaction_is_waited_for(monkeypatch, cause) -> None:
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0.0)
    answers = iter([wrapped(cause), "here"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert database.Patience()(call) == "here"


@pytest.mark.parametrize(
    "cause",
    [
        DBAPIError.instance("INSERT", {}, psycopg2.DataError("too long"), psycopg2.Error),
        DBAPIError.instance("INSERT", {}, sqlite3.DatabaseError("malformed"), sqlite3.Error),
        ValueError("of another kind"),
    ],
)
def test_an_error_of_a_statement_or_a_file_is_raised_at_once(cause) -> None:
    def call() -> None:
        raise wrapped(cause)

    with pytest.raises(StorageInternalError):
        database.Patience()(call)


def test_an_error_of_another_kind_is_raised_at_once(storages) -> None:
    storage, _ = storages
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("none")
