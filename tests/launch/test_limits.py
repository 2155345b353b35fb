import pytest

from sweeper.launch import limits

GIB = 2**30


NO_LIMIT_1 = 2**63 - 4096
"""What version 1 tells if there is no limit."""


def quota(group, microseconds):
    """Return the files of a group of version 1 with a limit of cores."""
    return {f"{group}/cpu.cfs_quota_us": microseconds, f"{group}/cpu.cfs_period_us": 100000}


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """Return a function that writes the group of this process and the files of all groups."""

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            file = tmp_path / "groups" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        monkeypatch.setattr(limits, "OWN_GROUP", tmp_path / "own")
        monkeypatch.setattr(limits, "GROUPS", tmp_path / "groups")

    return write


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {}, limits.NO_LIMIT),
        ("", {"cpu.max": "max 100000"}, limits.NO_LIMIT),
        ("0::/\n", {"cpu.max": "250000 100000"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("3:cpu:/x\n0::/job/step\n", {"job/cpu.max": "300000 100000"}, 3),
        ("0::/job\n", {"job/cpu.max": "300000 100000", "cpu.max": "200000 100000"}, 2),
        ("0::/docker/0a1b\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/../../job\n", {"cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/job/step\n", quota("cpu/job", 300000), 3),
        ("4:cpuacct,cpu:/job\n1:name=systemd:/\n", quota("cpu/job", -1), limits.NO_LIMIT),
        ("4:cpu:/docker/0a1b\n0::/\n", quota("cpu", 200000), 2),
        ("4:memory:/job\n", quota("cpu/job", 200000), limits.NO_LIMIT),
    ],
)
def test_the_smallest_limit_of_the_group_and_its_parents_counts(groups, own, files, cores) -> None:
    groups(own, files)
    assert limits.most_cores() == cores


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, limits.NO_LIMIT),
        ({"memory.max": "max", "memory.current": "5"}, limits.NO_LIMIT),
        ({"memory.max": 4 * GIB, "memory.current": GIB}, 3 * GIB),
        ({"memory.max": GIB, "memory.current": 2 * GIB}, 0),
        (
            {
                "memory.max": 4 * GIB,
                "memory.current": 3 * GIB,
                "memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}",
            },
            3 * GIB,
        ),
        ({"job/memory.max": 3 * GIB, "job/memory.current": GIB}, 2 * GIB),
    ],
)
def test_files_that_the_kernel_keeps_in_memory_leave_it_free(groups, files, free) -> None:
    groups("0::/job/step\n", files)
    assert limits.free_memory_bytes() == free


@pytest.mark.parametrize(
    ("most", "stat", "free"),
    [
        (NO_LIMIT_1, "cache 0", limits.NO_LIMIT),
        (4 * GIB, f"inactive_file {GIB}", 2 * GIB),
        (4 * GIB, f"inactive_file 0\ntotal_inactive_file {2 * GIB}", 3 * GIB),
    ],
)
def test_a_memory_group_of_version_1_has_other_files(groups, most, stat, free) -> None:
    files = {"limit_in_bytes": most, "usage_in_bytes": 3 * GIB, "stat": stat}
    files = {f"memory/job/memory.{name}": text for name, text in files.items()}
    groups("9:cpu:/x\n8:memory:/job/step\n", files)
    assert limits.free_memory_bytes() == free
