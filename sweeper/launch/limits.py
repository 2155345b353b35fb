"""The cores and the memory that a container or a batch system leaves to this process.

Linux tells them in files of control groups, version 2. A group has the limits of its parents too.
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
    """Yield the folder of this process's group, and those of its parents.

    In a container the folder may be missing. The limits of the container are then in `GROUPS`.
    """
    paths = [line[len("0::/") :] for line in _lines(OWN_GROUP) if line.startswith("0::/")]
    path = PurePosixPath(paths[0] if paths and ".." not in paths[0] else "")
    yield from (GROUPS / each for each in (path, *path.parents))


def _cores(group: Path) -> int:
    quota, period = next((line.split() for line in _lines(group / "cpu.max")), ("max", ""))
    return NO_LIMIT if quota == "max" else max(1, int(quota) // int(period))


def _free_bytes(group: Path) -> int:
    most, used = _lines(group / "memory.max"), _lines(group / "memory.current")
    if not most or not used or most[0] == "max":
        return NO_LIMIT
    # The kernel gives up files that it keeps in memory and that nobody has read for a while.
    kept = dict(line.split() for line in _lines(group / "memory.stat")).get("inactive_file", 0)
    return max(0, int(most[0]) - int(used[0]) + int(kept))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
