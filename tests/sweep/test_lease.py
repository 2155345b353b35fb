import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.sweep.lease import LEASE_KEY, Lease, LeaseJudge, Standing, process_start

ALIVE, LAPSED, UNKNOWN = Standing.ALIVE, Standing.LAPSED, Standing.UNKNOWN
NO_PROCESS = 2**22 + 1


def test_a_lease_is_read_back_from_its_record() -> None:
    lease = Lease.new("command", progress=4, deaths=1, cuts=2)
    assert Lease.read({LEASE_KEY: lease.record()}) == lease
    assert Lease.read({}) is None


def test_a_lease_of_another_version_is_read() -> None:
    lease = Lease.new(deaths=1)
    assert Lease.read({LEASE_KEY: lease.record() | {"expires": 1.0}}) == lease


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, ALIVE),
        ({"started": "1"}, LAPSED),
        ({"pid": NO_PROCESS}, LAPSED),
        ({"pid": NO_PROCESS, "host": "elsewhere"}, UNKNOWN),
    ],
)
def test_on_its_own_host_a_lease_stands_and_falls_with_its_process(changes, standing) -> None:
    assert LeaseJudge(60).standing(0, replace(Lease.new(), **changes)) is standing


@pytest.fixture
def clock(monkeypatch):
    """Return a function that sets the monotonic clock; the clock of the day is an hour off."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)

    def tell(seconds):
        monkeypatch.setattr(time, "monotonic", lambda: float(seconds))

    return tell


@pytest.mark.parametrize(
    ("looks", "standing"),
    [
        ([(0, 0)], UNKNOWN),
        ([(0, 0), (30, 0), (59, 0)], UNKNOWN),
        ([(0, 0), (30, 0), (61, 0)], LAPSED),
        ([(0, 0), (30, 1)], ALIVE),
        ([(0, 0), (30, 1), (89, 1)], ALIVE),
        ([(0, 0), (30, 1), (60, 1), (91, 1)], LAPSED),
        ([(0, 0), (500, 0)], UNKNOWN),  # nobody looked in between, so nothing is known
        ([(0, 0), (500, 9)], ALIVE),
    ],
)
def test_a_lease_of_another_host_lapses_when_no_renewal_is_seen(clock, looks, standing) -> None:
    judge, lease = LeaseJudge(60), replace(Lease.new(), host="elsewhere")
    for seconds, renewals in looks:
        clock(seconds)
        seen = judge.standing(0, replace(lease, renewals=renewals))
    assert seen is standing


@pytest.mark.parametrize(("own", "of_lease"), [(60, 0), (60, 20), (20, 60)])
def test_the_longer_one_of_two_settings_holds(clock, own, of_lease) -> None:
    judge, lease = LeaseJudge(own), replace(Lease.new(seconds=of_lease), host="elsewhere")
    standings = []
    for seconds in (0, 30, 60, 61):
        clock(seconds)
        standings.append(judge.standing(0, lease))
    assert standings == [UNKNOWN, UNKNOWN, UNKNOWN, LAPSED]


def test_a_lease_of_an_earlier_version_lasts_as_long_as_its_reader_says() -> None:
    record = Lease.new(seconds=90).record()
    del record["seconds"]
    assert Lease.read({LEASE_KEY: record}).lasts(60) == 60


def test_a_new_lease_of_the_same_trial_is_watched_anew(clock) -> None:
    judge = LeaseJudge(60)
    for seconds in (0, 30, 61):
        clock(seconds)
        judge.standing(0, replace(Lease.new(), host="elsewhere"))
    assert judge.standing(0, replace(Lease.new(), host="elsewhere")) is UNKNOWN


def test_a_running_trial_without_a_lease_is_watched_too(clock) -> None:
    judge = LeaseJudge(60)
    standings = []
    for seconds in (0, 30, 61):
        clock(seconds)
        standings.append(judge.standing(0, None))
    assert standings == [UNKNOWN, UNKNOWN, LAPSED]


def test_a_zombie_process_counts_as_dead() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) is None
    child.wait()
    assert process_start(os.getpid()) is not None


@pytest.mark.parametrize(
    ("answer", "standing"),
    [(PermissionError, UNKNOWN), (None, UNKNOWN), (ProcessLookupError, LAPSED)],
)
@pytest.mark.parametrize("hidden", [FileNotFoundError, PermissionError])
def test_time_tells_of_a_process_that_the_system_hides(
    monkeypatch, hidden, answer, standing
) -> None:
    def kill(pid, number):
        assert number == 0
        if answer is not None:
            raise answer

    def read_text(path):
        assert path == Path(f"/proc/{NO_PROCESS}/stat")
        raise hidden

    lease = replace(Lease.new(), pid=NO_PROCESS)
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(Path, "read_text", read_text)
    assert LeaseJudge(60).standing(0, lease) is standing


def test_an_earlier_command_of_this_very_process_has_left_its_trials() -> None:
    lease = Lease.new("first")
    assert LeaseJudge(60, "first").standing(0, lease) is Standing.ALIVE
    assert LeaseJudge(60, "second").standing(0, lease) is Standing.LAPSED
