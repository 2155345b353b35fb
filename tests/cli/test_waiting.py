"""The waiting line, on a pseudo-terminal."""

import os
import pty
import sys
import threading
from collections.abc import Callable

import pytest

from sweeper.cli import waiting
from sweeper.cli.waiting import hide_waiting, waiting_for, waiting_line

BELL, ERASE = "\a", "\r\x1b[K"


@pytest.fixture
def open_terminal(monkeypatch):
    """Return a function that makes standard output and error a terminal.

    It returns another one, which reads what the terminal has shown since the last call.
    """
    reader, writer = pty.openpty()
    stream = os.fdopen(writer, "w", encoding="utf-8")

    def read() -> str:
        stream.write(BELL)  # the kernel hands over what was written a little later
        stream.flush()
        shown = b""
        while not shown.endswith(BELL.encode()):
            shown += os.read(reader, 1 << 16)
        return shown.decode().removesuffix(BELL)

    def make() -> Callable[[], str]:  # in the test, since pytest sets the streams before it
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(waiting, "TICK_SECONDS", 60.0)  # only what is asked for is drawn
        return read

    yield make
    stream.close()
    os.close(reader)


def test_other_output_takes_the_place_of_the_line(open_terminal) -> None:
    terminal = open_terminal()
    with waiting_line("reading"):
        waiting_for("importing")
        print("a message")
    text = terminal()
    assert "reading\x1b[K" in text
    assert "importing\x1b[K" + ERASE + "a message\r\n" in text
    assert text.endswith("a message\r\n")


def test_the_streams_are_restored_and_an_outer_line_stays(open_terminal) -> None:
    terminal = open_terminal()
    before = sys.stdout
    with waiting_line("outer"):
        with waiting_line("inner"):
            assert "inner" not in terminal()
        waiting_for("still here")
        assert "still here" in terminal()
    assert sys.stdout is before
    assert not waiting.is_waiting_shown()


def test_a_line_that_has_not_ended_is_not_overwritten(open_terminal) -> None:
    terminal = open_terminal()
    with waiting_line():
        sys.stdout.write("half a line")
        waiting_for("something")
        assert "something" not in terminal()
        sys.stdout.write("\n")
        waiting_for("something else")
        assert "something else" in terminal()
        hide_waiting()


def test_nothing_is_shown_where_there_is_no_terminal(capsys) -> None:
    with waiting_line("reading"):
        waiting_for("importing")
        assert "waiting" not in {thread.name for thread in threading.enumerate()}
    assert capsys.readouterr() == ("", "")


def test_a_forked_process_leaves_the_line_to_its_parent(open_terminal) -> None:
    terminal = open_terminal()
    with waiting_line("waiting"):
        pid = os.fork()
        if pid == 0:
            sys.stderr.write("from the child\n")
            sys.stderr.flush()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ERASE + "from the child" not in terminal()
