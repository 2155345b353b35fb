"""How a worker ends its trials."""

import logging
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from sweeper.cli.interrupts import Interrupt
from sweeper.sweep import session as session_module
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.observer import Observers, Outcome
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.session import HUNG_EXIT_CODE, Session
from sweeper.sweep.verdict import Verdict, judge_stop

PROMOTION = Promotion(3, 1, 1, maximize=False, pauses=True)


@pytest.mark.parametrize(("is_lost", "outcome"), [(False, "paused"), (True, "released")])
def test_a_trial_that_was_taken_over_as_it_paused_is_not_told_as_paused(
    make_ledger, storage, reported, is_lost, outcome
) -> None:
    told = []
    observer = SimpleNamespace(trial_finished=lambda _, outcome: told.append(outcome))
    session = object.__new__(Session)
    session._spec = SimpleNamespace(observers=Observers([observer]), own_process=False)
    session._info, session.ledger = None, make_ledger(n_trials=2, promotion=PROMOTION)
    claim = reported(session.ledger, 0.5)
    if is_lost:
        storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, Lease.new().record())
    session._end_trial(claim, judge_stop("paused"))
    assert told == [Outcome(outcome, reason="paused")]
    state = TrialState.RUNNING if is_lost else TrialState.WAITING
    assert storage.get_trial(claim.trial_id).state == state


@pytest.mark.parametrize(("has_ended", "codes"), [(False, [HUNG_EXIT_CODE]), (True, [])])
def test_a_trial_that_has_ended_needs_no_lease(make_ledger, monkeypatch, has_ended, codes) -> None:
    exits = []
    monkeypatch.setattr(session_module, "exit_with_children", exits.append)
    monkeypatch.setattr(session_module, "Guard", lambda *arguments: arguments[-1])
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    session = object.__new__(Session)
    session._spec = SimpleNamespace(
        observers=Observers([]), own_process=True, foreign_launcher=False
    )
    session._info, session._interrupt, session.ledger = None, Interrupt(), make_ledger()
    claim = session.ledger.claim()
    end_process = session._guard(claim)
    if has_ended:
        session._end_trial(claim, Verdict(TrialState.COMPLETE, (1.0,)))
    end_process("lost")
    assert exits == codes
