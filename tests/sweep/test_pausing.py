from dataclasses import replace

import pytest

from sweeper.sweep.curve import PLACE_KEY
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.pausing import Pausing
from sweeper.sweep.promotion import Promotion

PROMOTING = {"promotion": Promotion(3, 1, 1, maximize=False, pauses=True)}


def test_a_trial_that_is_the_best_at_its_rung_goes_on_at_once(
    make_ledger, storage, pause, reported
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    pause(ledger, 0.3)
    pause(ledger, 0.2)
    best = reported(ledger, 0.1)
    pausing = Pausing(ledger, best)
    assert not pausing.pauses()
    assert not pausing.pauses()  # it was promoted: the next decision is due at the next rung
    for step in (1, 2):
        storage.set_trial_intermediate_value(best.trial_id, step, 0.1)
    assert pausing.pauses()


@pytest.mark.parametrize(("length", "rung"), [(None, 1.0), (5.0, 0.25)])
def test_the_next_rung_depends_on_the_length_of_a_trial(make_ledger, length, rung) -> None:
    ledger = make_ledger(promotion=Promotion())
    claim = ledger.claim()
    assert Pausing(ledger, claim).next_rung(0, length) == rung
    if length is not None:
        Pausing(ledger, claim).note_length(length)
        assert Pausing(ledger, claim).next_rung(0, None) == rung
    without_rule = replace(ledger.budget, promotion=None)
    elsewhere = Ledger(ledger._study, ledger._storage, ledger._lock.parent, without_rule)
    assert Pausing(elsewhere, claim).next_rung(0, length) is None


def test_a_promoted_trial_that_has_become_longer_is_compared_at_its_next_rung(
    make_ledger, storage, reported
) -> None:
    ledger = make_ledger(n_trials=3, promotion=Promotion(finish=1, pauses=True, config_length=10.0))
    for value in (0.2, 0.1, 0.3):
        claim = reported(ledger, *[value] * 4)
        Pausing(ledger, claim).note_length(10.0)
        ledger.pause(claim)
    claim = ledger.claim()
    assert claim.number == 1  # the fourth epoch ends with the third rung of ten epochs
    Pausing(ledger, claim).note_length(30.0)  # now it ends with the second, and the next is at 14
    for step in range(4, 14):
        storage.set_trial_intermediate_value(claim.trial_id, step, 0.9)
    for other in (0, 2):
        for step in range(4, 14):
            storage.set_trial_intermediate_value(other, step, 0.5)
    assert Pausing(ledger, claim).pauses()


def test_a_trial_is_not_paused_at_its_end(make_ledger, storage, reported) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    claim = reported(ledger, 0.5)
    pausing = Pausing(ledger, claim)
    pausing.note_length(2.0)
    assert pausing.pauses()
    storage.set_trial_intermediate_value(claim.trial_id, 1, 0.5)
    assert not pausing.pauses()


def test_a_promoted_trial_of_an_earlier_version_is_compared_at_its_next_rung(
    make_ledger, storage, pause, reported
) -> None:
    ledger = make_ledger(n_trials=9, **PROMOTING)
    for value in (0.3, 0.1, 0.2):
        pause(ledger, value)
    ledger.release(ledger.claim())
    trial = storage.get_all_trials(0)[1]
    record = {"target": 1, **trial.system_attrs[PLACE_KEY]}
    del record["decided_at"]
    storage.set_trial_system_attr(trial._trial_id, PLACE_KEY, record)
    claim = reported(ledger, 0.9, 0.9)
    assert claim.number == 1
    assert Pausing(ledger, claim).pauses()
