"""A line on the terminal that says what a command waits for, or how far it is.

The line is on standard error, and only if that is a terminal. It is erased before other output, and
drawn again below it. A thread keeps it alive. It calls no library, so it costs next to nothing; and
a process may be forked at any time.

This module is imported before anything else, so it imports little.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

TICK_SECONDS = 0.1
SHOWN_AFTER_SECONDS = 1.0
"""From then on the line says for how many seconds it has been waiting."""

FRAMES, PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"

_lock = threading.RLock()
_lines: list["WaitingLine"] = []


def _leave_to_parent() -> None:
    for line in _lines:
        line.forget()
    _lock.release()


# A fork copies the lock as it is, but not the thread that may hold it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_leave_to_parent
    )


class WaitingLine:
    """The line, with the thread that draws it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._descriptor = stream, stream.fileno()
        self._encoding = stream.encoding or "ascii"
        self._frames = FRAMES if can_show(FRAMES, stream) else PLAIN_FRAMES
        self._text: str | None = None
        self._has_clock, self._since = True, time.monotonic()
        self._is_drawn, self._at_line_start = False, True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)
        self._before: list[tuple[str, Any, Any]] = []

    def start(self) -> None:
        """Start to draw, and let the standard streams erase the line before they write."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                above = AboveLine(stream, self)
                self._before.append((name, stream, above))
                setattr(sys, name, above)
        self._thread.start()

    def close(self) -> None:
        """Erase the line and restore the streams."""
        self.show(None)
        self._stop.set()
        self._thread.join()
        for name, stream, above in self._before:
            if getattr(sys, name) is above:
                setattr(sys, name, stream)

    def show(self, text: str | None, clock: bool = True) -> None:
        """Show a text, with the seconds since it is shown if `clock`; None hides the line."""
        with _lock:
            if text != self._text:
                self._text, self._has_clock, self._since = text, clock, time.monotonic()
            self._draw() if text is not None else self._erase()

    def write_above(self, stream: TextIO, text: str) -> int:
        """Write a text to another stream of the same terminal, in place of the line."""
        with _lock:
            self._erase()
            written = stream.write(text)
            stream.flush()
            self._at_line_start = text.endswith("\n") if text else self._at_line_start
            return written

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with _lock:
                self._draw()

    def _draw(self) -> None:
        if self._text is None or not self._at_line_start:
            return
        now = time.monotonic()
        seconds = now - self._since
        text = f"{self._frames[int(now / TICK_SECONDS) % len(self._frames)]} {self._text}"
        if self._has_clock and seconds >= SHOWN_AFTER_SECONDS:
            text += f" ({seconds:.0f} s)"
        self._put("\r" + text[: width_of(self._descriptor) - 1] + "\x1b[K")
        self._is_drawn = True

    def _erase(self) -> None:
        if self._is_drawn:
            self._put("\r\x1b[K")
            self._is_drawn = False

    def _put(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode(self._encoding, "replace"))
        except OSError:  # the terminal was closed
            self._text = None

    def forget(self) -> None:
        """Leave the line to the parent, in a forked process."""
        self._text, self._is_drawn = None, False


class AboveLine:
    """A standard stream that erases the line before it writes."""

    def __init__(self, stream: TextIO, line: WaitingLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        """Write a text above the line."""
        return self._line.write_above(self._stream, text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write texts above the line."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def waiting_line(text: str | None = None) -> Iterator[None]:
    """Show the line within the context, first with this text; an outer context keeps the line.

    Nothing is shown if standard error is not a terminal that can erase a line.
    """
    if _lines or not _is_usable():
        yield
        return
    line = WaitingLine(sys.stderr)
    line.start()
    _lines.append(line)
    line.show(text)
    try:
        yield
    finally:
        _lines.clear()
        line.close()


def begin_waiting(text: str) -> None:
    """Show the line until the process ends, first with this text."""
    context = waiting_line(text)
    context.__enter__()
    atexit.register(context.__exit__, None, None, None)


def waiting_for(text: str) -> None:
    """Say what the command waits for: `importing torch`."""
    if _lines:
        _lines[0].show(text)


def show_progress(text: str) -> None:
    """Show a text that changes all the time."""
    if _lines:
        _lines[0].show(text, clock=False)


def hide_waiting() -> None:
    """Hide the line until there is something else to wait for."""
    if _lines:
        _lines[0].show(None)


def is_waiting_shown() -> bool:
    """Return whether there is a terminal for the line."""
    return bool(_lines)


def width_of(descriptor: int) -> int:
    """Return the number of columns of a terminal."""
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80


def can_show(text: str, stream: IO[str]) -> bool:
    """Return whether a stream's encoding has these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_usable() -> bool:
    stream = sys.stderr
    try:
        is_terminal = stream is not None and stream.isatty() and stream.fileno() >= 0
    except (OSError, ValueError):
        return False
    return is_terminal and os.environ.get("TERM") != "dumb"
