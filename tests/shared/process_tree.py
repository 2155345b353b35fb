"""The processes that a process has started, on Linux."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def workers_of(pid: int) -> list[int]:
    """Return the worker processes of a command, which are forked from its server."""
    return [worker for server in children(pid) for worker in children(server)]


def runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended may still have its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
