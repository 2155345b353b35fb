"""The command `python -m sweeper.explain`."""

from types import SimpleNamespace

import pytest

import sweeper.explain
from sweeper.errors import ConfigError
from sweeper.sweep.command import COMMAND_FILE
from sweeper.sweep.idle import require_idle


def test_its_study_is_not_moved_away_meanwhile(tmp_path, monkeypatch, refuses) -> None:
    (tmp_path / COMMAND_FILE).write_text(
        "{study: s, storage: null, program: [app.py], arguments: [], cwd: /}"
    )
    spec = SimpleNamespace(name="s", storage=None, folder=tmp_path)

    def explained(folder, bounds) -> None:
        require_idle(spec)

    monkeypatch.setattr(sweeper.explain, "explained", explained)
    with refuses(ConfigError, "python -m sweeper.explain .* is running; end it first"):
        sweeper.explain.explain([str(tmp_path)])
    require_idle(spec)


def test_nothing_is_written_to_a_folder_of_something_else(tmp_path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a study"):
        sweeper.explain.explain([str(tmp_path)])
    assert not list(tmp_path.iterdir())
