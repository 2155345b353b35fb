import os
import subprocess
import threading
from dataclasses import replace

import pytest

from sweeper.sweep.lease import LEASE_KEY, Lease, Renewer, process_start


def test_a_lease_is_read_back_from_its_record() -> None:
    lease = Lease.new(60, deaths=1, cuts=2)
    assert Lease.read({LEASE_KEY: lease.record()}) == lease
    assert Lease.read({}) is None


@pytest.mark.parametrize(
    ("changes", "lapsed"),
    [
        ({}, False),
        ({"expires": 0.0}, True),
        ({"started": "1"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"pid": 2**22 + 1, "host": "elsewhere"}, False),
        ({"expires": 0.0, "host": "elsewhere"}, True),
    ],
)
def test_a_lease_lapses_when_it_expires_or_its_process_on_this_host_is_dead(
    changes, lapsed
) -> None:
    lease = Lease.new(60)
    assert replace(lease, **changes).lapsed(lease.expires - 30) is lapsed


def test_a_zombie_process_counts_as_dead() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) is None
    child.wait()
    assert process_start(os.getpid()) is not None


def test_a_renewer_renews_until_the_lease_is_lost() -> None:
    answers, lost = iter([True, OSError, False]), threading.Event()

    def renew():
        answer = next(answers)
        if answer is False:
            lost.set()
        if answer is OSError:
            raise OSError("the storage is away")
        return answer

    with Renewer(renew, lease_seconds=0.003) as renewer:
        assert lost.wait(10)
    assert renewer.lost
