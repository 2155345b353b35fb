"""Studies of the sphere application, run from the command line in real processes."""

import os
import signal
from collections import Counter
from dataclasses import replace

import optuna
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

import sweeper
from process_tree import children, workers_of

SPACE = ("x=interval(-3,3)", "hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none")


def names(group: str) -> list[str]:
    """Return the names of the samplers or pruners that Hydra knows."""
    Plugins.instance()
    files = ConfigStore.instance().list(f"hydra/sweeper/{group}")
    return [name.removesuffix(".yaml") for name in files]


def test_a_finite_space_is_run_point_by_point(app) -> None:
    app.run("x=1,2", "shape=sphere,plane", "hydra/launcher=basic")
    points = [tuple(t.params.values()) for t in app.trials()]
    assert points == [(1, "sphere"), (1, "plane"), (2, "sphere"), (2, "plane")]


def test_search_blocks_are_used_when_nothing_else_is_swept(app) -> None:
    app.run("hydra.sweeper.n_trials=3", "hydra/launcher=basic")
    assert all(set(t.params) == {"shape.radius", "shape.size"} for t in app.trials())


def test_a_sampled_option_adds_only_its_own_search_block(app) -> None:
    app.run("shape=sphere,plane", "hydra.sweeper.auto=true", "hydra.sweeper.n_trials=12",
            "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1")  # fmt: skip
    expected = {
        "sphere": {"shape", "shape.radius", "shape.size@sphere"},
        "plane": {"shape", "shape.tilt", "shape.size@plane"},
    }
    shapes = Counter(t.params["shape"] for t in app.trials())
    assert set(shapes) == set(expected)
    assert all(set(t.params) == expected[t.params["shape"]] for t in app.trials())


def test_four_workers_end_with_exactly_the_budget(app) -> None:
    app.run(*SPACE, "hydra.sweeper.n_trials=30", "hydra.sweeper.n_jobs=4", "step_seconds=0.01")
    assert app.states() == ["COMPLETE"] * 30
    assert all((app.folder / str(i) / ".hydra/config.yaml").exists() for i in range(30))


def test_auto_starts_several_workers_for_each_gpu(app, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    gpu = "returns='${oc.decode:${oc.env:CUDA_VISIBLE_DEVICES}}'"
    out = app.run("x=interval(0,1)", "hydra.sweeper.n_trials=9", "step_seconds=0.5", gpu,
                  "hydra/sweeper/pruner=none", "hydra.sweeper.check=false",
                  "hydra.sweeper.trials_per_gpu=2")  # fmt: skip
    assert "Starting 4 workers" in out
    assert {t.value for t in app.trials()} == {3, 5}


def test_trials_do_not_wait_for_a_slow_one(app, wait_for) -> None:
    (app.cwd / "wait").touch()
    process = app.start("x=9,1,2,3,4,5", "waits_above=8", "hydra.sweeper.n_jobs=2")
    wait_for(lambda: app.states().count("COMPLETE") == 5)
    assert app.states() == ["RUNNING", *["COMPLETE"] * 5]
    running = sweeper.Study.load(app.folder)
    assert (running.best.params, len(running.trials)) == ({"x": 1}, 6)
    (app.cwd / "wait").unlink()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert app.states() == ["COMPLETE"] * 6


def test_the_same_command_runs_only_the_missing_trials(app) -> None:
    app.run(*SPACE, "hydra.sweeper.n_trials=3", "hydra/launcher=basic")
    before = [t.params for t in app.trials()]
    app.run(*SPACE, "hydra.sweeper.n_trials=5", "hydra/launcher=basic")
    app.run(*SPACE, "hydra.sweeper.n_trials=5", "hydra/launcher=basic")
    assert [t.params for t in app.trials()][:3] == before
    assert app.states() == ["COMPLETE"] * 5


@pytest.mark.parametrize("victim", ["worker", "server and worker"])
def test_a_killed_workers_trial_is_resumed_from_its_checkpoint(app, wait_for, victim) -> None:
    process = app.start(*SPACE, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1",
                        "steps=8", "step_seconds=0.1")  # fmt: skip
    wait_for(lambda: (app.folder / "0/steps.log").exists())
    [worker] = workers_of(process.pid)
    for pid in [worker] if victim == "worker" else [*children(process.pid), worker]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 0
    first = app.trials()[0]
    assert sorted(first.intermediate_values) == list(range(8))
    assert first.system_attrs["sweeper:lease"]["deaths"] == 1
    assert app.states() == ["COMPLETE"] * 2


@pytest.mark.parametrize("victims", ["parent", "all"])
def test_after_a_kill_the_same_command_completes_the_study(app, wait_for, victims) -> None:
    command = (*SPACE, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2",
               "steps=5", "step_seconds=0.1")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: (app.folder / "1/steps.log").exists())
    others = [*children(process.pid), *workers_of(process.pid)]
    for pid in [process.pid, *(others if victims == "all" else [])]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    app.run(*command)
    assert app.states() == ["COMPLETE"] * 4
    assert all(len(t.intermediate_values) == 5 for t in app.trials()[2:])


def test_ctrl_c_puts_running_trials_back_to_be_resumed(app, wait_for) -> None:
    command = (*SPACE, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2",
               "steps=6", "step_seconds=0.1")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: (app.folder / "1/steps.log").exists())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes it" in out
    assert app.states() == ["WAITING"] * 2
    app.run(*command)
    assert app.states() == ["COMPLETE"] * 3
    assert all(sorted(t.intermediate_values) == list(range(6)) for t in app.trials())


def test_a_second_ctrl_c_stops_at_once(app, wait_for) -> None:
    process = app.start(*SPACE, "hydra.sweeper.n_jobs=1", "steps=1", "step_seconds=50")
    wait_for(lambda: (app.folder / "0/.hydra").exists())
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "Interrupted" in process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_trial_that_raises_fails_with_the_reason_and_is_replaced(app) -> None:
    out = app.run("x=interval(0,10)", "breaks_above=8", "hydra.sweeper.n_trials=6",
                  "hydra/sweeper/pruner=none", "hydra/sweeper/sampler=random",
                  "hydra.sweeper.sampler.seed=0", "hydra.sweeper.max_failure_rate=1",
                  "hydra/launcher=basic")  # fmt: skip
    failed = [t for t in app.trials() if t.state.name == "FAIL"]
    assert failed, out
    assert Counter(app.states())["COMPLETE"] == 6
    assert all(t.user_attrs["failure"] == "ValueError: x is too large" for t in failed)
    assert "too large" in (app.folder / str(failed[0].number) / "failure.txt").read_text()


@pytest.mark.parametrize("returned", ["nan", "inf", "text"])
def test_a_value_that_is_not_a_finite_number_fails_the_trial(app, returned) -> None:
    out = app.run("x=1,2", f"returns={returned}", "hydra.sweeper.max_failure_rate=0",
                  "hydra/launcher=basic", code=1)  # fmt: skip
    assert app.states() == ["FAIL"]
    assert "not a finite number" in out
    assert "Traceback" not in out


def test_a_grid_is_not_pruned_by_default(app) -> None:
    app.run("x=range(0,12)", "steps=2", "hydra/launcher=basic")
    assert app.states() == ["COMPLETE"] * 12


def test_pruned_trials_count_towards_the_budget(app) -> None:
    app.run("x=range(0,12)", "hydra/sweeper/pruner=median", "steps=2", "hydra/launcher=basic")
    assert app.states() == ["COMPLETE"] * 5 + ["PRUNED"] * 7


def test_a_changed_space_is_refused_with_two_remedies(app) -> None:
    app.run("x=1,2", "hydra/launcher=basic")
    out = app.run("x=1,2,3", "hydra/launcher=basic", code=1)
    assert "space x" in out
    assert "hydra.sweeper.study_name=" in out
    assert "hydra.sweeper.study=fresh" in out
    app.run("x=1,2,3", "hydra/launcher=basic", "hydra.sweeper.study=fresh")
    assert len(app.trials()) == 3


def test_one_worker_and_a_seed_repeat_a_study_that_is_resumed(app) -> None:
    command = ("x=interval(-3,3)", "hydra.sweeper.sampler.seed=3", "hydra.sweeper.n_jobs=1")
    app.run(*command, "hydra.sweeper.n_trials=14")
    first = [(t.params, t.value) for t in app.trials()]
    app.run(*command, "hydra.sweeper.n_trials=12", "hydra.sweeper.study=fresh")
    app.run(*command, "hydra.sweeper.n_trials=14")
    assert [(t.params, t.value) for t in app.trials()] == first


def test_the_default_config_is_the_first_trial_and_points_follow(app) -> None:
    app.run(*SPACE, "shape.radius=interval(0,5)", "hydra.sweeper.enqueue=[{x: 2.5}]",
            "hydra.sweeper.n_trials=3", "hydra/launcher=basic")  # fmt: skip
    default, point, _ = (t.params for t in app.trials())
    assert default == {"x": 1.0, "shape.radius": 1.0}
    assert point["x"] == 2.5


def test_points_beside_a_grid_are_checked_and_add_nothing(app) -> None:
    out = app.run("x=1,2", "hydra.sweeper.enqueue=[{x: 3}]", "hydra/launcher=basic", code=1)
    assert "hydra.sweeper.enqueue: x=3 lies outside" in out
    out = app.run("x=1,2", "hydra.sweeper.enqueue=[{x: 2}]", "hydra/launcher=basic")
    assert "hydra.sweeper.enqueue: every point of the grid is run, so nothing is added" in out
    assert len(app.trials()) == 2


def test_a_timeout_puts_running_trials_back(app) -> None:
    app.run(*SPACE, "hydra.sweeper.timeout=2s", "hydra.sweeper.n_trials=1",
            "steps=100", "step_seconds=0.1", "hydra/launcher=basic")  # fmt: skip
    assert app.states() == ["WAITING"]


def test_several_objectives_give_a_pareto_front(app) -> None:
    app.run(*SPACE, "returns=[1.0,2.0]", "hydra.sweeper.direction=[minimize,maximize]",
            "hydra.sweeper.n_trials=2", "hydra/launcher=basic")  # fmt: skip
    results = OmegaConf.load(app.folder / "optimization_results.yaml")
    assert results.solutions[0]["values"] == [1.0, 2.0]


def test_an_unknown_option_or_key_is_refused_before_the_first_trial(app) -> None:
    out = app.run("shape=sphere,cube", "y=1,2", "hydra/launcher=basic", code=1)
    assert "cube" in out
    assert not app.folder.exists()


def test_the_best_trial_has_a_folder_and_a_command(app) -> None:
    out = app.run("x=2,0.5,1", "hydra/launcher=basic")
    results = OmegaConf.load(app.folder / "optimization_results.yaml")
    assert results == {"name": "optuna", "best_params": {"x": 0.5}, "best_value": 1.25}
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 0.5
    assert "app.py x=0.5" in out


def test_a_trials_output_goes_to_its_folder(app) -> None:
    app.run("x=1,2", "hydra.sweeper.n_jobs=1")
    assert (app.folder / "1/stdout.log").read_text().strip() == "value 5"


@pytest.mark.parametrize("target", [-2.0, 2.0])
def test_the_trials_of_a_study_of_optuna_count_and_the_sampler_learns_from_them(
    app, target
) -> None:
    url, space = f"sqlite:///{app.cwd}/o.db", {"x": FloatDistribution(-3, 3)}
    old = optuna.create_study(study_name="s", storage=url)
    values = {x: 100 * abs(x - target) for x in (step / 3 for step in range(-9, 10))}
    old.add_trials(
        create_trial(params={"x": x}, distributions=space, value=value)
        for x, value in values.items()
    )
    app.run("x=interval(-3,3)", f"hydra.sweeper.storage={url}", "hydra.sweeper.n_trials=22",
            "hydra.sweeper.sampler.seed=1", "hydra.sweeper.sampler.n_ei_candidates=24",
            "hydra/launcher=basic")  # fmt: skip
    new = optuna.load_study(study_name="s", storage=url).trials[len(values) :]
    assert [abs(t.params["x"] - target) < 2 for t in new] == [True] * 3
    results = OmegaConf.load(app.folder / "optimization_results.yaml")
    assert results.best_value == min(*values.values(), *(t.value for t in new))


NOTING_CLASSES = ("hydra.sweeper.custom_search_space=spaces.noting_classes", "hydra/launcher=basic")
SAMPLERS = {
    "brute_force": "BruteForceSampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
    "tpe": "TPESampler",
}


@pytest.mark.parametrize("sampler", sorted({*names("sampler")} - {"grid"}))
def test_every_sampler_completes_a_study(app, sampler) -> None:
    app.run("x=choice(0,1,2)", "steps=range(1,4)", f"hydra/sweeper/sampler={sampler}",
            "hydra.sweeper.n_trials=4", *NOTING_CLASSES)  # fmt: skip
    assert set(app.states()) <= {"COMPLETE", "PRUNED"}
    assert [t.user_attrs["sampler"] for t in app.trials()] == [SAMPLERS[sampler]] * 4


def test_the_sampler_grid_runs_each_point_once(app) -> None:
    app.run("x=choice(0,1,2)", "steps=range(1,3)", "hydra/sweeper/sampler=grid",
            "hydra/launcher=basic")  # fmt: skip
    points = [(t.params["x"], t.params["steps"]) for t in app.trials()]
    assert points == [(x, steps) for x in (0, 1, 2) for steps in (1, 2)]


PRUNERS = {
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
    "none": "NopPruner",
    "patient": "PatientPruner",
    "percentile": "PercentilePruner",
    "promotion": "PromotionPruner",
    "threshold": "ThresholdPruner",
    "wilcoxon": "WilcoxonPruner",
}


@pytest.mark.parametrize("pruner", names("pruner"))
def test_every_pruner_completes_a_study(app, pruner) -> None:
    bound = ["hydra.sweeper.pruner.upper=5"] if pruner == "threshold" else []
    app.run("x=interval(0,6)", "steps=9", f"hydra/sweeper/pruner={pruner}", *bound,
            "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1",
            "hydra.sweeper.n_trials=12", *NOTING_CLASSES)  # fmt: skip
    assert [t.user_attrs["pruner"] for t in app.trials()] == [PRUNERS[pruner]] * 12
    pruned = {t.value for t in app.trials() if t.state.name == "PRUNED"}
    # The values of a trial stay as they are, and patience is lost when they get worse.
    assert bool(pruned) == (pruner not in ("none", "patient"))
    assert set(app.states()) == {"COMPLETE"} | ({"PRUNED"} if pruned else set())


def test_ctrl_c_in_one_process_puts_the_trial_back(app, wait_for) -> None:
    command = (*SPACE, "hydra.sweeper.n_trials=1", "steps=20", "step_seconds=0.1",
               "hydra/launcher=basic")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: (app.folder / "0/steps.log").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert app.states() == ["WAITING"]


def test_a_custom_search_space_adds_its_parameters(app) -> None:
    app.run("x=interval(0,1)", "hydra.sweeper.custom_search_space=spaces.more",
            "hydra.sweeper.n_trials=2", "hydra/launcher=basic")  # fmt: skip
    assert all({"x", "steps"} == set(t.params) for t in app.trials())


def test_a_database_can_be_the_storage(app) -> None:
    url = f"sqlite:///{app.cwd}/o.db"
    app.run(*SPACE, f"hydra.sweeper.storage={url}", "hydra.sweeper.n_trials=6",
            "hydra.sweeper.n_jobs=2")  # fmt: skip
    states = [t.state.name for t in optuna.load_study(study_name="s", storage=url).trials]
    assert states == ["COMPLETE"] * 6


def test_observers_follow_the_study_from_its_workers(app) -> None:
    diary = app.cwd / "diary.txt"
    observers = f"hydra.sweeper.observers=[{{_target_: watch.Diary, path: '{diary}'}}]"
    app.run("x=1,2", observers, "hydra.sweeper.n_jobs=1")
    app.run("x=1,2", observers, "hydra.sweeper.n_jobs=1")
    assert diary.read_text().splitlines() == [
        "opened s None",
        "started 0 under parent-1",
        "finished 0 complete [2.0]",
        "started 1 under parent-1",
        "finished 1 complete [5.0]",
        "closed under parent-1",
        "opened s parent-1",
        "closed under parent-1",
    ]


def test_a_study_whose_record_is_interrupted_shows_its_results(app) -> None:
    diary = f"{{_target_: watch.Diary, path: '{app.cwd}/diary.txt', interrupted: true}}"
    output = app.run("x=1,2", f"hydra.sweeper.observers=[{diary}]", code=130)
    assert "its record is not complete" in output
    assert "2 of 2 trials done" in output
    assert "interrupted, the same command resumes it" in output
    assert "Train it again: " in output


def test_a_study_may_lie_in_a_folder_of_any_name(app, tmp_path) -> None:
    elsewhere = replace(app, cwd=tmp_path / "käse, it's 日本")
    elsewhere.cwd.mkdir()
    elsewhere.run("x=1,2")
    assert elsewhere.states() == ["COMPLETE", "COMPLETE"]


def test_two_commands_at_once_share_one_budget(app) -> None:
    command = (*SPACE, "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=2", "steps=2",
               "step_seconds=0.05")  # fmt: skip
    processes = [app.start(*command, python=app.python) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    assert app.states() == ["COMPLETE"] * 12


def test_an_emptied_journal_is_not_taken_for_a_new_study(app) -> None:
    command = (*SPACE, "hydra.sweeper.n_trials=2")
    app.run(*command)
    (app.folder / "journal.log").write_text("")
    assert "the study's storage does not know study s" in app.run(*command, code=1)
    app.run(*command, "hydra.sweeper.study=fresh")
    assert app.states() == ["COMPLETE"] * 2
    assert len(list((app.cwd / "multirun").iterdir())) == 2
