import os

import pytest

from sweeper.files import link_or_copy, replacing, write_text


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
