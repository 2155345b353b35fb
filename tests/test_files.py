import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.files import link_or_copy, replacing, scratch_folder, write_text
from sweeper.locks import ARE_BESIDE


def fail_half_way(path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_only_the_old_file(tmp_path) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_link_or_copy_replaces_the_target_and_not_the_source(
    tmp_path, monkeypatch, links
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no links on this file system")

    if not links:
        monkeypatch.setattr(os, "link", fail)
    first, second, target = (tmp_path / name for name in ("first", "second", "target"))
    for path in (first, second):
        path.write_text(path.name)
        link_or_copy(path, target)
        assert target.read_text() == path.name
    assert first.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second", "target"]


def test_a_link_that_a_killed_process_left_is_not_written_into(tmp_path) -> None:
    old, new, target = (tmp_path / name for name in ("old", "new", "target"))
    old.write_text("old")
    new.write_text("new")
    os.link(old, tmp_path / f".target.{os.getpid()}")
    link_or_copy(new, target)
    assert (old.read_text(), target.read_text()) == ("old", "new")


def test_a_scratch_folder_is_removed_at_the_end(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "half").write_text("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(ARE_BESIDE, reason="locks are files of their own")
def test_the_scratch_folder_of_a_killed_process_is_removed_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sweeper.files import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "    print(folder, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        other = Path(child.stdout.readline().strip())
        with scratch_folder(tmp_path):
            assert other.is_dir()  # its process lives
        child.send_signal(signal.SIGKILL)
        child.wait()
    with scratch_folder(tmp_path) as own:
        assert list(tmp_path.iterdir()) == [own]


@pytest.mark.parametrize("owner", ["another host", "", None])
def test_a_scratch_folder_whose_process_may_live_stays(tmp_path: Path, owner: str | None) -> None:
    folder = tmp_path / ".partial-x"
    folder.mkdir()
    if owner is not None:
        (folder / "owner").write_text(owner)
    with scratch_folder(tmp_path):
        assert folder.is_dir()


@pytest.mark.skipif(ARE_BESIDE, reason="Windows has no pipes in folders")
def test_a_pipe_in_the_place_of_the_owner_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / ".partial-x"
    folder.mkdir()
    os.mkfifo(folder / "owner")
    with scratch_folder(tmp_path):
        assert folder.is_dir()
