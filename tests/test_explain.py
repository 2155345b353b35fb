"""The command `python -m sweeper.explain`."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import create_trial

import sweeper.explain
from sweeper.errors import ConfigError
from sweeper.sweep.command import COMMAND_FILE
from sweeper.sweep.idle import require_idle
from sweeper.sweep.storage import open_storage


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


def test_a_bound_on_a_searched_key_is_refused_before_any_run(tmp_path) -> None:
    (tmp_path / COMMAND_FILE).write_text(
        "{study: s, storage: null, program: [app.py], arguments: [], cwd: /}"
    )
    storage = open_storage(None, tmp_path)
    study = optuna.create_study(study_name="s", storage=storage)
    epochs = {"trainer.epochs": optuna.distributions.IntDistribution(2, 4)}
    study.add_trial(create_trial(params={"trainer.epochs": 4}, distributions=epochs, value=1.0))
    with pytest.raises(ConfigError, match=r"epochs=1: study s searches trainer\.epochs"):
        sweeper.explain.explain([str(tmp_path), "epochs=1"])


def test_nothing_is_written_to_a_folder_of_something_else(tmp_path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a study"):
        sweeper.explain.explain([str(tmp_path)])
    assert not list(tmp_path.iterdir())
