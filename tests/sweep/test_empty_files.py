import pytest
from omegaconf import OmegaConf

from sweeper.sweep.empty_files import remove_empty

CONFIG = OmegaConf.create({"hydra": {"job": {"name": "app"}}})


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"stdout.log": "", "app.log": ""}, None),
        ({"stdout.log": "", "app.log": "text"}, ["app.log"]),
        ({"stdout.log": "", "result.csv": ""}, ["result.csv"]),
        ({}, None),
    ],
)
def test_empty_logs_and_an_empty_folder_are_removed(tmp_path, files, left) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    remove_empty(folder, CONFIG)
    assert (sorted(p.name for p in folder.iterdir()) if folder.exists() else None) == left


def test_a_folder_that_is_not_there_is_no_error(tmp_path) -> None:
    remove_empty(tmp_path / "7", CONFIG)
