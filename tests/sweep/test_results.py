import optuna
import pytest
from omegaconf import OmegaConf

from sweeper.sweep.budget import Budget
from sweeper.sweep.results import Results
from sweeper.sweep.spec import SamplerRecipe, StudySpec


@pytest.fixture
def make_results(live, tmp_path):
    """Return a function that makes a study with these values and its trials' folders."""

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


def test_the_results_file_has_the_official_sweepers_format(make_results, tmp_path) -> None:
    make_results([3.0], [1.0], [2.0]).write()
    written = OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert written == {"name": "optuna", "best_params": {"x": 1.0}, "best_value": 1.0}


def test_the_best_folder_is_replaced_as_a_whole(make_results, tmp_path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "old").touch()
    make_results([3.0], [1.0]).write()
    assert (tmp_path / "best" / "config.yaml").read_text() == "x: 1"
    assert not (tmp_path / "best" / "old").exists()


def test_the_config_in_the_best_folder_leaves_the_trials_files_unchanged(
    make_results, tmp_path
) -> None:
    results = make_results([1.0])
    (tmp_path / "0" / "config.yaml").write_text("written by the task")
    results.write()
    assert (tmp_path / "best" / "config.yaml").read_text() == "x: 0"
    assert (tmp_path / "0" / "config.yaml").read_text() == "written by the task"


def test_several_objectives_have_a_pareto_front(make_results, tmp_path) -> None:
    results = make_results([1.0, 2.0], [2.0, 1.0], [3.0, 3.0], directions=("minimize", "minimize"))
    assert [s["values"] for s in results.summary()["solutions"]] == [[1.0, 2.0], [2.0, 1.0]]


def test_a_study_without_a_complete_trial_has_no_best_folder(
    make_results, tmp_path, capsys
) -> None:
    results = make_results()
    results.write()
    results.show(interrupted=True)
    assert not (tmp_path / "best").exists()
    assert "0 of 5 trials done" in capsys.readouterr().out


def test_the_last_line_is_the_command_that_trains_the_best_trial_again(
    make_results, capsys
) -> None:
    make_results([3.0], [1.0]).show(interrupted=False)
    assert "Best: 1 in trial 1" in (out := capsys.readouterr().out)
    assert out.splitlines()[-1].endswith(" x=1.0 steps=2")
