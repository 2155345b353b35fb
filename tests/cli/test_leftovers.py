"""What Hydra wrote for a command that was refused."""

from contextlib import nullcontext

import pytest
from omegaconf import OmegaConf

from sweeper.cli.leftovers import Leftovers, NoteFolders, remove_written
from sweeper.errors import EndedError
from sweeper.locks import locked


def test_only_new_and_empty_folders_are_removed(tmp_path) -> None:
    (tmp_path / "old/empty").mkdir(parents=True)
    leftovers = Leftovers(
        [
            *(f"hydra.run.dir={tmp_path}/new/a", f"hydra.sweep.dir='{tmp_path}/old/b'"),
            *(f"hydra.run.dir={tmp_path}/now/${{now:%Y}}", f"other.dir={tmp_path}/other/a"),
        ]
    )
    for folder in ("new/a", "old/b", "now", "other/a"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "now/file").touch()
    leftovers.remove()
    assert {path.name for path in tmp_path.iterdir()} == {"old", "now", "other"}
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["empty"]


def test_a_name_that_no_folder_can_have_leaves_nothing() -> None:
    Leftovers(["hydra.run.dir=" + "a" * 300, "hydra.run.dir="]).remove()


def test_the_folders_that_a_run_creates_are_removed_wherever_they_are_set(tmp_path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("new/a/b", "old/c"):
        folder = tmp_path / name
        config = OmegaConf.create({"hydra": {"run": {"dir": str(folder)}}})
        NoteFolders().on_run_start(config)
        (folder / ".hydra").mkdir(parents=True)
        remove_written(folder, {".hydra"}, tmp_path)
        NoteFolders().on_run_end(config)
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_folder_that_was_there_before_stays(tmp_path) -> None:
    (tmp_path / "old").mkdir()
    NoteFolders().on_run_start(OmegaConf.create({"hydra": {"run": {"dir": str(tmp_path / "old")}}}))
    remove_written(tmp_path / "old", {".hydra"}, tmp_path)
    NoteFolders().on_run_start(OmegaConf.create({"hydra": {"run": {"dir": "${nothing:}"}}}))
    assert (tmp_path / "old").is_dir()


@pytest.mark.parametrize("is_locked", [False, True])
def test_what_another_run_has_just_written_stays(tmp_path, is_locked) -> None:
    def run_job(output_dir, old_cwd, config):
        raise RuntimeError

    (tmp_path / "outputs/run/.hydra").mkdir(parents=True)
    folder = tmp_path / "outputs/run"
    config = OmegaConf.create({"hydra": {"output_subdir": ".hydra", "job": {"name": "app"}}})
    with pytest.raises(RuntimeError) as caught:
        run_job(str(folder), str(tmp_path), config)
    with locked(folder) if is_locked else nullcontext():
        Leftovers([]).remove(caught.value)
    assert folder.exists() == is_locked


def test_a_run_is_refused_before_hydra_writes_to_the_folder_of_another_one(tmp_path) -> None:
    config = OmegaConf.create({"hydra": {"run": {"dir": str(tmp_path)}}})
    NoteFolders().on_run_start(config)
    with (
        locked(tmp_path),
        pytest.raises(EndedError, match=f"dir={tmp_path}: another run is writing to this folder"),
    ):
        NoteFolders().on_run_start(config)
