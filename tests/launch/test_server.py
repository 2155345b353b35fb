"""The fork server: a process that has imported what its forks need."""

import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from process_tree import runs
from sweeper.errors import TrainingError
from sweeper.launch import early, fork_server
from sweeper.launch.apart import call_apart
from sweeper.launch.fork_server import ForkServer, can_fork
from sweeper.launch.resources import THREAD_VARIABLES

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells whether a fork is safe"
)

CHILD = """
import os, sys, time
EXIT = {"leave": lambda: sys.exit(7), "stay": lambda: time.sleep(60)}
def main(descriptor):
    import numpy, torch
    facts = os.getppid(), os.getsid(0), torch.get_num_threads(), numpy.random.rand()
    os.write(descriptor, repr((*facts, os.environ["FACT"])).encode())
    os.close(descriptor)
    EXIT[os.environ["FACT"]]()
def parent(descriptor, lifeline):
    import subprocess, threading
    from sweeper.launch.process import exit_with_parent
    threading.Thread(target=exit_with_parent, args=(lifeline,), daemon=True).start()
    os.write(descriptor, str(subprocess.Popen(["sleep", "600"]).pid).encode())
    os.close(descriptor)
    time.sleep(600)
"""
NO_ROOM_ONCE = """
import os
real = os.fork
def fork():
    os.fork = real
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = fork
"""
KERNEL = tuple(map(int, platform.release().split(".")[:2])) if sys.platform == "linux" else ()


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[ForkServer]:
    (tmp_path / "forked_child.py").write_text(CHILD)
    (tmp_path / "thread_at_import.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
    )
    (tmp_path / "no_room_once.py").write_text(NO_ROOM_ONCE)
    monkeypatch.syspath_prepend(tmp_path)
    server = ForkServer(["torch"])
    yield server
    server.close()


def fork(server: ForkServer, fact: str, threads: str = "1"):
    """Fork a process; return it with the facts that it tells, or None."""
    reader, writer = os.pipe()
    variables = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads), "FACT": fact}
    process = server.fork("forked_child:main", variables, [writer])
    os.close(writer)
    with os.fdopen(reader) as facts:
        return process and (process, eval(facts.read()))


def test_linux_can_fork() -> None:
    assert can_fork()


def test_a_forked_process_has_its_own_session_threads_and_random_numbers(server) -> None:
    (one, facts), (other, others) = fork(server, "leave", "2"), fork(server, "leave")
    assert facts[0] == others[0] != os.getpid()
    assert (facts[1], others[1]) == (one.pid, other.pid)
    assert (facts[2], others[2]) == (2, 1)
    assert facts[3] != others[3]


def test_a_forked_process_has_the_first_number_of_threads_that_openmp_takes(server) -> None:
    texts = ["3,2", " 2 , 1", "0", "none", ""]
    assert [fork(server, "leave", text)[1][2] for text in texts] == [3, 2, 1, 1, 1]


@pytest.fixture
def family(server):
    """A forked process, the id of a process that it has started, and what closes its lifeline."""
    (reader, writer), (lifeline, end) = os.pipe(), os.pipe()
    process = server.fork("forked_child:parent", os.environ, [writer, lifeline])
    os.close(writer)
    os.close(lifeline)
    with os.fdopen(reader) as facts, os.fdopen(end, "w") as held:
        yield process, int(facts.read()), held.close


@pytest.mark.parametrize(
    "lives",
    [
        True,
        pytest.param(False, marks=pytest.mark.skipif(KERNEL < (6, 9), reason="it needs Linux 6.9")),
    ],
)
def test_what_a_killed_process_has_started_is_killed(server, family, wait_for, lives) -> None:
    process, child, _ = family
    if not lives:
        server.close()
    assert not process.has_ended()
    process.kill()
    wait_for(process.has_ended)
    assert process.wait() == (-signal.SIGKILL if lives else 1)
    wait_for(lambda: not runs(child))


def test_what_a_process_has_started_ends_with_its_parent(server, family, wait_for) -> None:
    process, child, close_lifeline = family
    server.close()  # as it ends with its parent too
    close_lifeline()
    wait_for(lambda: not runs(child))
    assert process.wait() == 1


def test_a_system_without_room_for_a_process_is_asked_again(server) -> None:
    server.load(b"cno_room_once\nreal\n.")
    assert server.fork("forked_child:main", os.environ, []) is None
    assert fork(server, "leave") is not None


def test_the_exit_code_of_a_forked_process_is_known(server) -> None:
    process, _ = fork(server, "leave")
    assert process.wait() == process.returncode == 7


def test_a_forked_process_can_be_killed(server) -> None:
    process, _ = fork(server, "stay")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    process.kill()  # does nothing now


def test_a_signal_handler_may_kill_a_process_that_ends_while_it_is_waited_for(
    server, monkeypatch
) -> None:
    process, _ = fork(server, "leave")

    def poll_until_a_signal():
        real = select.poll()

        def wait():
            ready = real.poll()
            process.kill()
            return ready

        return SimpleNamespace(register=real.register, poll=wait)

    replacement = SimpleNamespace(poll=poll_until_a_signal, POLLIN=select.POLLIN)
    monkeypatch.setattr(fork_server, "select", replacement)
    assert process.wait() == 7


def test_the_end_of_a_process_whose_server_died_is_noticed(server) -> None:
    process, _ = fork(server, "stay")
    server.close()
    os.kill(process.pid, 0)  # it goes on
    process.kill()
    assert process.wait() == 1


def test_a_server_with_threads_does_not_fork(server) -> None:
    server.load(b"cthread_at_import\nthreading\n.")  # a pickle that imports the module
    assert server.fork("forked_child:main", os.environ, []) is None


def test_a_server_that_died_does_not_fork(server) -> None:
    _, facts = fork(server, "leave")
    os.kill(facts[0], signal.SIGKILL)
    assert server.fork("forked_child:main", os.environ, []) is None


def test_a_server_ends_with_its_parent(server) -> None:
    fork(server, "leave")
    server._connection.close()
    server._socket.close()
    assert server._process.wait(30) == 0


def test_a_call_apart_returns_or_raises_what_the_function_does(monkeypatch, server) -> None:
    monkeypatch.setattr(early, "_servers", [server])
    pid, loaded = call_apart(lambda: (os.getpid(), "torch" in sys.modules))
    assert pid != os.getpid()
    assert loaded
    with pytest.raises(Exception, match="ZeroDivisionError"):
        call_apart(lambda: 1 // 0)


def test_a_call_whose_process_dies_before_it_is_asked_fails_in_words(monkeypatch) -> None:
    dead = SimpleNamespace(wait=lambda: -9)
    monkeypatch.setattr(early, "_servers", [SimpleNamespace(fork=lambda *_: dead)])
    with pytest.raises(TrainingError, match="the process of getpid ended with exit code -9"):
        call_apart(os.getpid)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--multirun search=cnn", True),
        ("-m hydra/launcher=local a=1,2", True),
        ("a=1", False),
        ("-m hydra/launcher=joblib", False),
        ("-m --cfg job", False),
        ("--multirun --help", False),
    ],
)
def test_a_server_is_started_for_a_study_with_local_workers(line, expected) -> None:
    assert early.runs_study(line.split()) == expected


def test_a_command_that_starts_no_worker_leaves_no_server(wait_for) -> None:
    code = (
        "from sweeper.launch.early import start_server, current_server; start_server([]); "
        "print(current_server()._process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    # The command does not wait for the end of the process that it has killed.
    wait_for(lambda: not Path(f"/proc/{int(done.stdout)}").exists())
