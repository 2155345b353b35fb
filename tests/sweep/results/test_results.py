import shutil
from dataclasses import replace

import optuna
import pytest
from omegaconf import OmegaConf, open_dict, read_write
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import Budget
from sweeper.sweep.curve import PLACE_KEY, Place
from sweeper.sweep.finals.final_records import FINALISTS_RECORD, Finalists
from sweeper.sweep.finals.race import FinalPlace
from sweeper.sweep.finals.stage import FinalStage
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.results.results import Results
from sweeper.sweep.spec import SamplerRecipe, StudySpec
from sweeper.sweep.verdict import Objectives

TWO = {"directions": ("maximize", "minimize"), "names": ("accuracy", "size")}
FRONT = ([0.5, 10.0], [0.9, 20.0], [0.99, 90.0], [0.4, 50.0])


@pytest.fixture
def make_results(live, tmp_path):
    """Return a function that makes a study with these values and its trials' folders."""

    def make(
        *values, directions=("minimize",), names=(), choice=None, attrs=None, fixed=(),
        stage=None, record=None,
    ):  # fmt: skip
        space = live("x=interval(0,10)", "steps=2", *fixed)
        study = optuna.create_study(directions=list(directions))
        for key, value in (record or {}).items():
            study.set_user_attr(key, value)
        distributions = {"x": optuna.distributions.FloatDistribution(0, 10)}
        for x, value in enumerate(values):
            study.add_trial(
                optuna.trial.create_trial(
                    values=value,
                    params={"x": float(x)},
                    distributions=distributions,
                    user_attrs=attrs or {},
                )  # fmt: skip
            )
            (tmp_path / str(x) / ".hydra").mkdir(parents=True, exist_ok=True)
            (tmp_path / str(x) / ".hydra" / "config.yaml").write_text(f"x: {x}")
        spec = StudySpec(
            name="s",
            folder=tmp_path,
            space=space.space,
            budget=Budget(5),
            objectives=Objectives(len(directions), tuple(names)),
            sampler=SamplerRecipe(optuna.samplers.RandomSampler()),
            pruner=optuna.pruners.NopPruner(),
            finals=stage or FinalStage(),
        )
        return Results.of(study, spec, space, choice)

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


@pytest.mark.parametrize(
    ("promotion", "text"),
    [
        (Promotion(3, 1, 1, maximize=False), "2 of 5 trials done, 0 of them pruned and 1 paused"),
        (None, "1 of 5 trials done, 0 of them pruned, "),  # it waits to be run
    ],
)
def test_a_paused_trial_is_done_only_for_a_command_that_pauses(
    make_results, capsys, promotion, text
) -> None:
    results = make_results([1.0])
    attrs = {PLACE_KEY: Place(is_paused=True).record()}
    paused = create_trial(state=TrialState.WAITING, system_attrs=attrs)
    spec = replace(results.spec, budget=Budget(5, promotion=promotion))
    replace(results, spec=spec, trials=[*results.trials, paused]).show(interrupted=False)
    assert text in capsys.readouterr().out


def test_the_last_line_is_the_command_that_trains_the_best_trial_again(
    make_results, capsys
) -> None:
    make_results([3.0], [1.0]).show(interrupted=False)
    assert "Best: 1 in trial 1" in (out := capsys.readouterr().out)
    assert out.splitlines()[-1].endswith(" x=1.0 steps=2")


def test_a_best_trial_of_another_program_is_said_to_have_no_files(
    make_results, tmp_path, capsys
) -> None:
    results = make_results([3.0], [1.0])
    line = "Trial 1 was run by another program: it has no files here; the command below trains it"
    results.show(interrupted=False)
    assert line not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "1")
    results.show(interrupted=False)
    assert line in capsys.readouterr().out.splitlines()


def test_the_command_has_no_names_of_the_studys_run(make_results, capsys) -> None:
    results = make_results([3.0], [1.0], fixed=("+tags.who=me", "+run_name=mine"))
    config = results.live.composer.option_config(results.live.first_point())
    with read_write(config), open_dict(config.hydra), read_write(config.hydra):
        config.hydra.sweeper = OmegaConf.create({"steering": ["run_name", "tags"]})
    results.show(interrupted=False)
    command = capsys.readouterr().out.splitlines()[-1]
    assert "x=1.0 steps=2" in command
    assert "who" not in command
    assert "mine" not in command


def test_each_member_of_a_front_has_its_command(make_results, tmp_path, capsys) -> None:
    results = make_results(*FRONT, **TWO)
    results.write()
    results.show(interrupted=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Pareto front: 3 trials (accuracy, size)"
    assert [line.split(" in ")[0].strip() for line in lines[2:8:2]] == ["0.5, 10", "0.9, 20",
                                                                        "0.99, 90"]  # fmt: skip
    assert [line.split()[-2:] for line in lines[3:9:2]] == [
        ["x=0.0", "steps=2"], ["x=1.0", "steps=2"], ["x=2.0", "steps=2"]
    ]  # fmt: skip
    script = (tmp_path / "front.sh").read_text().splitlines()
    assert [line for line in script if not line.startswith("#")] == [
        line.strip() for line in lines[3:9:2]
    ]


def test_without_a_choice_a_front_has_no_best_folder_and_says_how_to_get_one(
    make_results, tmp_path, capsys
) -> None:
    make_results(*FRONT, **TWO, choice="knee").write()
    results = make_results(*FRONT, **TWO)
    results.write()
    results.show(interrupted=False)
    assert not (tmp_path / "best").exists()
    assert "add hydra.sweeper.best=knee to the same command" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choice", "word", "x"), [("knee", "knee", 1), (0, "accuracy", 2), (1, "size", 0)]
)
def test_the_chosen_member_of_a_front_is_in_the_best_folder(
    make_results, tmp_path, capsys, choice, word, x
) -> None:
    results = make_results(*FRONT, **TWO, choice=choice)
    results.write()
    results.show(interrupted=False)
    assert (tmp_path / "best/config.yaml").read_text() == f"x: {x}"
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith(f"Best ({word}): ")
    assert lines[-1].endswith(f" x={x}.0 steps=2")


def test_a_large_front_is_shown_in_part_and_written_in_full(make_results, tmp_path, capsys) -> None:
    results = make_results(*([float(x), -float(x)] for x in range(10)), [9.5, -9.5],
                           directions=("minimize", "minimize"))  # fmt: skip
    results.write()
    results.show(interrupted=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert len(lines) == 10
    script = (tmp_path / "front.sh").read_text()
    assert script.count(" x=") == 11


def test_a_trial_with_several_seeds_shows_their_spread_and_links_a_typical_one(
    make_results, tmp_path, capsys
) -> None:
    attrs = {"repeats": [[0.9], [1.1], [0.99]], "deviation": [0.1]}
    results = make_results([1.0], attrs=attrs, fixed=["+seed=7"])
    for seed in (7, 8, 9):
        (tmp_path / f"0/seed-{seed}/.hydra").mkdir(parents=True)
        (tmp_path / f"0/seed-{seed}/.hydra/config.yaml").write_text(f"seed: {seed}")
    results.write()
    results.show(interrupted=False)
    assert (tmp_path / "best/config.yaml").read_text() == "seed: 9"
    out = capsys.readouterr().out
    assert "Best: 1.00 ± 0.10 (3 seeds) in trial 0" in out
    assert out.splitlines()[-1].endswith("x=0.0 steps=2 +seed=7")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([[1.0]], "No race of finalists: only one trial is complete"),
        ([[1.0], [2.0]], "The finalists' runs are not complete; the same command goes on"),
    ],
)
def test_a_study_without_a_race_says_why(make_results, capsys, values, line) -> None:
    results = make_results(*values)
    failed = optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL)
    spec = replace(results.spec, finals=FinalStage(n_finalists=2))
    replace(results, spec=spec, trials=[*results.trials, failed]).show(interrupted=False)
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("stage", "is_shown"),
    [
        (FinalStage(n_finalists=2, seeds=(1, 2)), True),
        (FinalStage(), True),
        (FinalStage(n_finalists=3, seeds=(1, 2)), False),
        (FinalStage(n_finalists=2, seeds=(1, 2, 3)), False),
    ],
)
def test_a_race_is_shown_unless_the_command_asks_for_another_one(
    make_results, stage, is_shown
) -> None:
    places = [FinalPlace(0, (1.0, 1.1)), FinalPlace(1, (2.0, 2.1), 0.01, True)]
    record = {FINALISTS_RECORD: Finalists([0, 1], [1, 2], places).record()}
    results = make_results([1.0], [2.0], [3.0], stage=stage, record=record)
    assert (results.finalists is not None) == is_shown


def test_results_that_cannot_be_written_do_not_end_the_command(
    make_results, tmp_path, caplog
) -> None:
    results = make_results([3.0], [1.0])
    (tmp_path / "optimization_results.yaml").mkdir()
    results.write()
    assert "The results are not in" in caplog.text
    assert (tmp_path / "best/config.yaml").read_text() == "x: 1"


def test_passwords_are_in_no_command(make_results, tmp_path, capsys) -> None:
    uri = "'postgresql://me:geheim1@host/db'"
    results = make_results(*FRONT, **TWO, choice="knee", fixed=[f"+uri={uri}"])
    results.write()
    results.show(interrupted=False)
    assert "geheim1" not in capsys.readouterr().out + (tmp_path / "front.sh").read_text()
