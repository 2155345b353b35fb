import os
import threading
from pathlib import Path

import pytest

from sweeper.sweep.results import best_folder
from sweeper.sweep.results.best_folder import link_best_folder, remove_best_folder, replace_folder


def make_trial(folder: Path, text: str, output_subdir: str = ".hydra") -> Path:
    (folder / output_subdir).mkdir(parents=True)
    (folder / output_subdir / "config.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("subdir", ["0", "0_x=1,y=2", "x=1/data=/tmp/y", "0_init=../z"])
@pytest.mark.parametrize("output_subdir", [".hydra", "meta/hydra", "."])
def test_any_layout_has_its_config_at_the_top(tmp_path, subdir, output_subdir) -> None:
    source = make_trial(tmp_path / subdir, "x: 1", output_subdir)
    link_best_folder(tmp_path, source, source / output_subdir)
    link_best_folder(tmp_path, source, source / output_subdir)
    assert (tmp_path / "best/config.yaml").samefile(source / output_subdir / "config.yaml")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".best")] == []


def test_without_files_of_hydra_the_tasks_own_config_stays(tmp_path) -> None:
    source = make_trial(tmp_path / "0", "its own", ".")
    link_best_folder(tmp_path, source, None)
    assert (tmp_path / "best/config.yaml").read_text() == "its own"


@pytest.mark.parametrize("link", ["nowhere", "..", "/"])
def test_symbolic_links_are_not_followed(tmp_path, link) -> None:
    source = make_trial(tmp_path / "0", "x: 1")
    (source / "link").symlink_to(link)
    link_best_folder(tmp_path, source, source / ".hydra")
    assert (tmp_path / "best/link").readlink() == Path(link)


def test_a_trial_that_ran_elsewhere_leaves_best_as_it_is(tmp_path, caplog) -> None:
    make_trial(tmp_path / "best", "old")
    link_best_folder(tmp_path, tmp_path / "3", None)
    assert (tmp_path / "best/.hydra/config.yaml").read_text() == "old"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("subdir", "other", "problem"),
    [
        (".", "1", "the trial has no folder of its own"),
        ("best", "1", "trials have their folders in it"),
        ("best/0", "1", "trials have their folders in it"),
        ("worst/0", "best/1", "trials have their folders in it"),
    ],
)
def test_folders_of_trials_are_never_replaced(tmp_path, caplog, subdir, other, problem) -> None:
    source = make_trial(tmp_path / subdir, "x: 1")
    make_trial(tmp_path / other, "x: 2")
    before = sorted(tmp_path.rglob("*"))
    link_best_folder(tmp_path, source, source / ".hydra", [tmp_path / other])
    assert sorted(tmp_path.rglob("*")) == before
    (warning,) = caplog.messages
    assert f"best was not made ({problem}); the best trial is in {source}" in warning


def test_a_file_named_best_is_left_alone(tmp_path, caplog) -> None:
    source = make_trial(tmp_path / "0", "x: 1")
    (tmp_path / "best").write_text("mine")
    link_best_folder(tmp_path, source, source / ".hydra")
    assert (tmp_path / "best").read_text() == "mine"
    assert "it is a file" in caplog.messages[0]


def test_a_full_disk_leaves_the_old_folder_and_a_warning(tmp_path, caplog, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    source, old = make_trial(tmp_path / "0", "x: 1"), make_trial(tmp_path / "best", "old")
    monkeypatch.setattr(best_folder, "link_or_copy", fail)
    link_best_folder(tmp_path, source, source / ".hydra")
    assert (old / ".hydra/config.yaml").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "best"]
    assert "No space left on device" in caplog.messages[0]


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux exchanges two folders")
def test_there_is_a_whole_folder_at_any_time(tmp_path) -> None:
    target, ended, looks = make_trial(tmp_path / "best", "0"), threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            looks.append((target / ".hydra/config.yaml").exists())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    replaced = 0
    try:
        while replaced < 200 or len(looks) < 200:
            assert reader.is_alive()
            replaced += 1
            replace_folder(make_trial(tmp_path / f"new{replaced}", str(replaced)), target)
    finally:
        ended.set()
        reader.join()
    assert all(looks)
    assert (target / ".hydra/config.yaml").read_text() == str(replaced)
    assert [p.name for p in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("is_link", [False, True])
def test_a_system_that_cannot_exchange_renames(tmp_path, monkeypatch, is_link) -> None:
    monkeypatch.setattr(best_folder, "_exchange", lambda *_: False)
    new, target = make_trial(tmp_path / "new", "new"), tmp_path / "best"
    if is_link:
        target.symlink_to(make_trial(tmp_path / "elsewhere", "kept"))
    else:
        make_trial(target, "old")
    replace_folder(new, target)
    assert (target / ".hydra/config.yaml").read_text() == "new"
    assert {p.name for p in tmp_path.iterdir()} <= {"best", "elsewhere"}
    assert not is_link or (tmp_path / "elsewhere/.hydra/config.yaml").read_text() == "kept"


def test_only_links_are_removed_and_what_stays_is_said(tmp_path, caplog) -> None:
    source = make_trial(tmp_path / "0", "x: 1")
    link_best_folder(tmp_path, source, source / ".hydra")
    (tmp_path / "best/notes.txt").write_text("mine")
    remove_best_folder(tmp_path)
    assert (tmp_path / "best/notes.txt").exists()
    assert "best stays as it is: it may be of an earlier best trial" in caplog.text
    caplog.clear()
    (tmp_path / "best/notes.txt").unlink()
    remove_best_folder(tmp_path)
    assert not (tmp_path / "best").exists()
    assert not caplog.text
    assert (source / ".hydra/config.yaml").read_text() == "x: 1"
