import threading
import time

import pytest

from sweeper.cli.interrupts import Interrupt
from sweeper.sweep import guard as guard_module
from sweeper.sweep.guard import Guard


@pytest.fixture(autouse=True)
def fast(monkeypatch) -> None:
    monkeypatch.setattr(guard_module, "TICK_SECONDS", 0.01)
    grace = {"trial_timeout": 0.05, "timeout": 0.05, "lost": 0.05}
    monkeypatch.setattr(guard_module, "GRACE_SECONDS", grace)


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [({"trial_seconds": 0.02}, "trial_timeout"), ({"deadline": 1.0}, "timeout")],
)
def test_a_task_that_does_not_stop_after_a_limit_hangs(make_ledger, budget, reason) -> None:
    ledger = make_ledger(**{k: v for k, v in budget.items() if k != "deadline"})
    claim = ledger.claim()
    hung = threading.Event()
    ledger = make_ledger(**budget)
    with Guard(ledger, claim, Interrupt(), on_hang=lambda _: hung.set()) as guard:
        until(lambda: guard.reason == reason)
        assert hung.wait(30)


def test_a_lease_is_renewed_until_it_is_lost(make_ledger, storage) -> None:
    ledger = make_ledger(lease_seconds=0.03)
    claim = ledger.claim()

    def renewals():
        return storage.get_trial(claim.trial_id).system_attrs["sweeper:lease"]["renewals"]

    with Guard(ledger, claim, Interrupt()) as guard:
        until(lambda: renewals() > 2)
        assert guard.reason is None
        ledger.release(claim)
        until(lambda: guard.reason == "lost")


def test_a_task_that_goes_on_without_its_lease_hangs(make_ledger) -> None:
    ledger = make_ledger(lease_seconds=0.03)
    claim = ledger.claim()
    ledger.release(claim)
    hung, reasons = threading.Event(), []

    def on_hang(reason):
        reasons.append(reason)
        hung.set()

    with Guard(ledger, claim, Interrupt(), on_hang=on_hang):
        assert hung.wait(30)
    assert set(reasons) == {"lost"}


def test_a_storage_that_is_away_does_not_end_the_renewals(make_ledger, caplog, monkeypatch) -> None:
    ledger = make_ledger(lease_seconds=0.03)
    away = OSError("away")
    claim, answers = ledger.claim(), iter([away, away, True, away, False])

    def renew(_):
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(ledger, "renew", renew)
    with Guard(ledger, claim, Interrupt()) as guard:
        until(lambda: guard.reason == "lost")
    # Once for each outage.
    assert caplog.messages == ["The trial goes on without the study's storage: away"] * 2


def test_a_worker_leaves_when_its_command_was_ended(make_ledger) -> None:
    ledger, interrupt = make_ledger(), Interrupt()
    claim = ledger.claim()
    with Guard(ledger, claim, interrupt, asks_storage=True) as guard:
        ledger.end_command()
        until(lambda: guard.reason == "interrupted")
    assert interrupt.requested
