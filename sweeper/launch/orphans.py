"""The end of all that a worker process has started, if the worker is killed or hangs.

A worker leads a process group of its own. A program that it has started may put its own processes
into other groups, as torchrun does. So what is below the group is killed too.

Windows has no process groups, and nothing is killed there.
"""

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

PROCESSES = Path("/proc")


def has_pidfds() -> bool:
    """Return whether this system has descriptors of processes, and tells of each its parent."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # not Linux, or before 5.3
        return False
    return (PROCESSES / "self/stat").exists()


def kill_orphans_of(leader: int) -> None:
    """Kill the processes of the group that `leader` has led, and all below them.

    `leader` is a child of this process that has ended, but has not been waited for. Until then the
    system gives its number to no other process or group.
    """
    if not has_pidfds():
        _kill_group(leader)
        return
    killed: set[_Process] = set()
    with suppress(OSError):  # the system may refuse another descriptor
        while found := _below(leader) - killed:  # one may have started another one meanwhile
            opened = _opened(found)
            _kill(opened)
            for descriptor in opened:
                os.close(descriptor)
            killed |= found


def exit_with_children(code: int) -> NoReturn:
    """End this process at once, and all that is below it or in the group that it leads."""
    try:
        if has_pidfds():
            # At once, and then this process ends: a thread that went on would take the end of a
            # child for a failure of its task.
            _kill(_opened(_below(os.getpid())))
        else:
            _kill_group(os.getpid())
    finally:  # whatever the system refuses, such as another descriptor
        os._exit(code)


@dataclass(frozen=True)
class _Process:
    """A process; `started` distinguishes it from another one with the same number."""

    pid: int
    started: str


def _kill_group(leader: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(OSError):  # it leads none
            os.killpg(leader, signal.SIGKILL)


def _kill(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):  # it has ended
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _opened(processes: Iterable[_Process]) -> list[int]:
    """Return descriptors of the processes that still run."""
    opened = []
    for process in processes:
        with suppress(OSError):
            opened.append(os.pidfd_open(process.pid))
            if _facts(process.pid)[19] != process.started:
                os.close(opened.pop())
    return opened


def _below(leader: int) -> set[_Process]:
    """Return the processes of the group that `leader` leads, and all below it or them."""
    facts = _all_facts()
    found = {leader, *(pid for pid, fact in facts.items() if fact[2] == str(leader))}
    while more := {pid for pid, fact in facts.items() if int(fact[1]) in found} - found:
        found |= more
    return {_Process(pid, facts[pid][19]) for pid in found - {leader}}


def _all_facts() -> Mapping[int, Sequence[str]]:
    facts = {}
    for folder in PROCESSES.iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                facts[int(folder.name)] = _facts(int(folder.name))
    return facts


def _facts(pid: int) -> Sequence[str]:
    """Return what Linux tells of a process: its state, parent, group and more.

    Raises:
        OSError: it has ended.
    """
    # The command's name comes before, and may contain spaces and brackets.
    return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
