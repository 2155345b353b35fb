"""The cores and the memory that a container or a batch system leaves to this process.

Linux tells them in files of control groups, of version 2 or 1. In version 1 cores and memory have
groups of their own. A group has the limits of its parents too.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
NO_LIMIT = 2**60


def most_cores() -> int:
    """Return the number of cores, or a large number if there is no limit."""
    return min(map(_cores, _groups()))


def free_memory_bytes() -> int:
    """Return how much more memory may be used, in bytes, or a large number if there is no limit."""
    return min(map(_free_bytes, _groups()))


def _groups() -> Iterator[Path]:
    """Yield the folders of this process's groups, and those of their parents.

    In a container such a folder may be missing. The limits of the container are then in the folder
    of the controller, which is `GROUPS` itself in version 2.
    """
    for line in _lines(OWN_GROUP) or ["0::/"]:
        _, controllers, name = line.split(":", 2)
        path = PurePosixPath("" if ".." in name else name.lstrip("/"))
        for controller in {"", "cpu", "memory"}.intersection(controllers.split(",")):
            yield from (GROUPS / controller / each for each in (path, *path.parents))


def _cores(group: Path) -> int:
    files = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")  # the first one, or the others
    words = [word for file in files for word in _words(group / file)]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return NO_LIMIT
    return max(1, int(words[0]) // int(words[1]))


def _free_bytes(group: Path) -> int:
    most = _words(group / "memory.max") or _words(group / "memory.limit_in_bytes")
    used = _words(group / "memory.current") or _words(group / "memory.usage_in_bytes")
    if not most or not used or most[0] == "max":
        return NO_LIMIT
    # The kernel gives up files that it keeps in memory and that nobody has read for a while. In
    # version 1 the total counts the groups below too, as the memory in use does.
    stat = dict(line.split() for line in _lines(group / "memory.stat"))
    kept = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    return min(NO_LIMIT, max(0, int(most[0]) - int(used[0]) + int(kept)))


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
