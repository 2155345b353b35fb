import shlex

import optuna
import pytest
from omegaconf import OmegaConf

from sweeper.sweep import results as module
from sweeper.sweep.budget import Budget
from sweeper.sweep.results import Results, again_command
from sweeper.sweep.spec import SamplerRecipe, StudySpec


@pytest.fixture
def finished(live, tmp_path):
    """A study of x with these values, and the folders that its trials left."""

    def make(*values, directions=("minimize",)):
        space = live("x=interval(0,9)", "steps=2")
        study = optuna.create_study(directions=list(directions))
        distributions = {"x": optuna.distributions.FloatDistribution(0, 9)}
        for x, value in enumerate(values):
            study.add_trial(
                optuna.trial.create_trial(
                    values=value, params={"x": float(x)}, distributions=distributions
                )
            )
            (tmp_path / str(x) / ".hydra").mkdir(parents=True)
            (tmp_path / str(x) / ".hydra" / "config.yaml").write_text(f"x: {x}")
        spec = StudySpec(
            name="s",
            folder=tmp_path,
            space=space.space,
            budget=Budget(5),
            sampler=SamplerRecipe(optuna.samplers.RandomSampler()),
            pruner=optuna.pruners.NopPruner(),
        )
        return Results.of(study, spec, space)

    return make


def test_the_results_file_is_the_official_sweepers(finished, tmp_path):
    finished([3.0], [1.0], [2.0]).write()
    written = OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert written == {"name": "optuna", "best_params": {"x": 1.0}, "best_value": 1.0}


def test_the_winners_files_replace_the_last_winners(finished, tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "old").touch()
    finished([3.0], [1.0]).write()
    assert (tmp_path / "best" / "config.yaml").read_text() == "x: 1"
    assert not (tmp_path / "best" / "old").exists()


def test_several_objectives_have_a_front(finished, tmp_path):
    results = finished([1.0, 2.0], [2.0, 1.0], [3.0, 3.0], directions=("minimize", "minimize"))
    assert [s["values"] for s in results.summary()["solutions"]] == [[1.0, 2.0], [2.0, 1.0]]


def test_a_study_without_a_complete_trial_has_no_best(finished, tmp_path, capsys):
    results = finished()
    results.write()
    results.show(interrupted=True)
    assert not (tmp_path / "best").exists()
    assert "0 of 5 trials done" in capsys.readouterr().out


def test_the_last_lines_say_how_to_train_the_winner_again(finished, capsys):
    finished([3.0], [1.0]).show(interrupted=False)
    assert "Best: 1 in trial 1" in (out := capsys.readouterr().out)
    assert out.splitlines()[-1].endswith(" x=1.0 steps=2")


def test_the_command_keeps_what_finds_the_config_and_quotes_the_rest(monkeypatch):
    argv = ["app.py", "--multirun", "-cd", "my conf", "--config-name=b", "x=1,2"]
    monkeypatch.setattr(module.sys, "argv", argv)
    monkeypatch.setattr(module.__main__, "__spec__", None)
    command = again_command(["x=[1, 2]"])
    assert shlex.split(command) == [
        "python", "app.py", "-cd", "my conf", "--config-name=b", "x=[1, 2]",
    ]  # fmt: skip
