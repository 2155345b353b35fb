from datetime import datetime, timedelta

from optuna.trial import TrialState, create_trial

from sweeper.sweep.bars import bars_of
from sweeper.sweep.budget import IMPORTED_KEY
from sweeper.sweep.curve import PLACE_KEY, Place, Stretch
from sweeper.sweep.lease import LEASE_KEY, Lease

START = datetime(2026, 1, 1)
LEASE = Lease.new()
WORKER = f"{LEASE.host_name} {LEASE.pid}"
STRETCHES = (Stretch(0.0, 1.0, "host 7"), Stretch(5.0, 6.0, "host 8"))
PLACE = Place(is_paused=True, stretches=STRETCHES).record()


def test_a_promoted_trial_has_several_bars() -> None:
    attrs = {LEASE_KEY: LEASE.record(), PLACE_KEY: PLACE}
    trial = create_trial(value=1.0, system_attrs=attrs)
    trial.datetime_start, trial.datetime_complete = START, START + timedelta(seconds=2)
    first, second, last = bars_of([trial])
    assert (first.worker, first.state, first.is_promoted) == ("host 7", "paused", False)
    assert (second.start, second.end, second.is_promoted) == (5.0, 6.0, True)
    assert (last.worker, last.end - last.start, last.state) == (WORKER, 2.0, "complete")


def test_a_paused_trial_ends_with_its_pause_and_one_of_another_study_has_no_bar() -> None:
    paused = create_trial(state=TrialState.WAITING, system_attrs={PLACE_KEY: PLACE})
    waiting = create_trial(state=TrialState.WAITING)
    imported = create_trial(value=1.0, user_attrs={IMPORTED_KEY: True})
    assert [bar.end for bar in bars_of([paused, waiting, imported])] == [1.0, 6.0]
