"""The end of what a process has started, in its own process group and in others."""

import os
import subprocess
import sys

import pytest

from process_tree import runs
from sweeper.launch import orphans
from sweeper.launch.child import ChildProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

TORCHRUN = """
import subprocess
with subprocess.Popen(["sleep", "600"], start_new_session=True) as rank:
    print(rank.pid, flush=True)
"""
LEADER = f"""
import subprocess, sys
from sweeper.launch.orphans import exit_with_children
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
agent = subprocess.Popen([sys.executable, "-c", {TORCHRUN!r}], stdout=subprocess.PIPE, text=True)
print(agent.pid, int(agent.stdout.readline()), sep="\\n", flush=True)
sys.stdin.read()
exit_with_children(7)
"""


@pytest.fixture
def start():
    """Return a function that starts a process; it returns that, and those below it.

    These are two in its group, and a child of the second one in its own group. The process ends
    with all of them once its input is closed.
    """
    processes, pids = [], []

    def start_leader(leads=True):
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", LEADER], stdin=pipe, stdout=pipe, start_new_session=leads
        )
        below = [int(process.stdout.readline()) for _ in range(3)]
        processes.append(process)
        pids.extend(below)
        return process, below

    yield start_leader
    for process in processes:
        with process:
            process.kill()
    for pid in filter(runs, pids):
        os.kill(pid, 9)


@pytest.fixture
def bystander():
    """A process in the group of the tests."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_orphans_in_the_group_and_below_it_are_killed(start, bystander, wait_for) -> None:
    process, below = start()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    orphans.kill_orphans_of(process.pid)
    wait_for(lambda: not any(map(runs, below)))
    assert process.wait() == -9
    assert bystander.poll() is None


def test_the_group_is_killed_where_no_parents_are_told(start, wait_for, monkeypatch) -> None:
    monkeypatch.setattr(orphans, "has_pidfds", lambda: False)
    process, (child, agent, rank) = start()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    orphans.kill_orphans_of(process.pid)
    wait_for(lambda: not runs(child) and not runs(agent))
    assert runs(rank)


def test_the_group_of_a_process_that_leads_none_is_left_alone(start, bystander) -> None:
    process, below = start(leads=False)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    orphans.kill_orphans_of(process.pid)
    process.wait()
    assert bystander.poll() is None
    assert all(map(runs, below))


@pytest.mark.parametrize("leads", [True, False])
def test_a_process_ends_with_all_that_it_has_started(start, bystander, wait_for, leads) -> None:
    process, below = start(leads)
    process.stdin.close()
    assert process.wait() == 7
    wait_for(lambda: not any(map(runs, below)))
    assert bystander.poll() is None


def test_what_a_killed_child_has_started_is_killed(start, wait_for) -> None:
    process, below = start()
    child = ChildProcess(process)
    assert not child.has_ended()
    child.kill()
    assert child.wait() == child.returncode == -9
    wait_for(lambda: not any(map(runs, below)))


def test_what_a_child_has_started_that_ends_well_goes_on() -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=pipe, start_new_session=True) as process:
        assert ChildProcess(process).wait() == 0
        pid = int(process.stdout.readline())
    assert runs(pid)
    os.kill(pid, 9)


def test_the_number_of_a_dead_child_is_its_own_and_gets_no_signal(wait_for, monkeypatch) -> None:
    process = subprocess.Popen(["false"])
    child, sent = ChildProcess(process), []
    monkeypatch.setattr(os, "kill", lambda *signal: sent.append(signal))
    wait_for(child.has_ended)
    child.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # nobody else has waited for it
    assert child.wait() == 1
    child.kill()
    assert sent == []
