from sweeper.cli.leftovers import Leftovers


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
