"""Which points a study runs: each once, each with several seeds, and how many of them."""

import re
import signal

import pytest
from omegaconf import OmegaConf

BASIC = ("hydra/launcher=basic", "hydra/sweeper/pruner=none")
SPACE = ("x=interval(-3,3)", "hydra/sweeper/sampler=random", *BASIC)


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii", "qmc"])
def test_a_finite_space_ends_the_study_when_each_point_has_been_run(app, sampler) -> None:
    out = app.run("x=1,2,3", f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=12",
                  *BASIC)  # fmt: skip
    assert "the search space has 3 points, fewer than n_trials=12" in out
    assert sorted(t.params["x"] for t in app.trials()) == [1, 2, 3]
    assert app.states() == ["COMPLETE"] * 3
    assert "3 of 3 trials done" in out


def test_two_workers_share_the_points(app) -> None:
    app.run("x=range(0,10)", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=20",
            "hydra.sweeper.n_jobs=2", "hydra/sweeper/pruner=none")  # fmt: skip
    assert sorted(t.params["x"] for t in app.trials()) == list(range(10))


def test_a_point_that_fails_is_not_tried_again_by_the_same_command(app) -> None:
    command = ("x=1,2,3", "breaks_above=2", "hydra.sweeper.n_trials=9", *BASIC)
    out = app.run(*command, "hydra.sweeper.max_failure_rate=1")
    assert sorted(app.states()) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert "2 of 3 trials done" in out
    out = app.run(*command, code=1)
    assert sorted(app.states()) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert "1 of 3 points failed and is missing: x=3; the same command tries it again" in out


def test_a_given_point_that_failed_is_tried_again_by_a_later_command(app) -> None:
    command = ("x=interval(0,2.5)", "hydra.sweeper.enqueue=[{x: 2.5},{x: 1}]",
               "hydra.sweeper.warm_start=false", "hydra.sweeper.steering=[breaks_above]",
               *BASIC)  # fmt: skip
    app.run(*command, "breaks_above=2.49", "hydra.sweeper.n_trials=2")
    assert app.states() == ["FAIL", "COMPLETE", "COMPLETE"]
    app.run(*command, "breaks_above=9", "hydra.sweeper.n_trials=2")
    assert app.states() == ["FAIL", "COMPLETE", "COMPLETE"]  # it has what was asked for
    app.run(*command, "breaks_above=9", "hydra.sweeper.n_trials=3")
    assert app.states() == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert app.trials()[-1].params == {"x": 2.5}


def test_a_space_of_a_function_ends_when_it_has_no_other_point(app) -> None:
    out = app.run("hydra.sweeper.custom_search_space=spaces.two_points",
                  "hydra.sweeper.auto=false", "hydra.sweeper.n_trials=5", *BASIC)  # fmt: skip
    assert [t.state.name for t in app.trials()].count("COMPLETE") == 2
    assert "2 of 5 trials done, 0 of them pruned, 0 failed" in out


def test_a_function_that_suggests_a_typed_key_ends_the_study(app) -> None:
    out = app.run("hydra.sweeper.custom_search_space=spaces.two_points", "++x=1",
                  "hydra.sweeper.auto=false", *BASIC, code=1)  # fmt: skip
    assert "suggests x, which ++x=1 sets; leave out ++x=1, or do not suggest it" in out
    assert app.states() == ["FAIL"]


def test_the_value_of_a_repeated_trial_is_the_mean_over_its_seeds(app) -> None:
    app.run("x=1,2", "+seed=5", "returns=${seed}", "hydra.sweeper.repeats=3", *BASIC)
    for trial in app.trials():
        assert trial.value == 6
        assert trial.user_attrs["repeats"] == [[5.0], [6.0], [7.0]]
        assert trial.user_attrs["deviation"] == [1.0]
    seeds = [OmegaConf.load(app.folder / f"1/seed-{s}/.hydra/config.yaml").seed for s in (5, 6, 7)]
    assert seeds == [5, 6, 7]


def test_a_function_that_suggests_nothing_gives_one_trial(app) -> None:
    command = ("hydra.sweeper.custom_search_space=spaces.nothing", "hydra.sweeper.auto=false",
               "hydra.sweeper.n_trials=5", *BASIC)  # fmt: skip
    out = app.run(*command)
    assert app.states().count("COMPLETE") == 1
    assert "The study has ended: the search space has no other point" in out
    n = len(app.trials())
    assert "nothing to run" in app.run(*command)
    assert len(app.trials()) == n


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("hydra/sweeper/sampler=grid", "hydra.sweeper.custom_search_space=spaces.two_points"),
         "cannot list the points of hydra.sweeper.custom_search_space"),
        (("+seed=1,2", "hydra.sweeper.repeats=2"), "seed cannot be swept"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(app, overrides, message) -> None:
    assert message in app.run("x=1,2", *overrides, *BASIC, code=1)
    assert not app.folder.exists()


def test_a_sampler_of_the_users_own_can_be_typed(app) -> None:
    app.run("x=interval(0,1)", "hydra.sweeper.sampler._target_=optuna.samplers.RandomSampler",
            "hydra.sweeper.n_trials=2", *BASIC)  # fmt: skip
    assert app.states() == ["COMPLETE"] * 2


def test_every_trial_has_its_line_with_a_database_too(app) -> None:
    out = app.run("x=1,2,3", "hydra.sweeper.storage=sqlite:///s.db", *BASIC)
    assert [f"[{n}/3] trial" in out for n in (1, 2, 3)] == [True] * 3


def test_a_typed_seed_is_the_first_of_the_seeds(app) -> None:
    app.run("x=1,2", "+seed=3", "steps=1", "shape.size=4", "shape={size:5}", "returns=${seed}",
            "hydra.sweeper.repeats=2", *BASIC)  # fmt: skip
    assert [t.user_attrs["repeats"] for t in app.trials()] == [[[3.0], [4.0]]] * 2
    file = app.folder / "1/seed-4/.hydra/overrides.yaml"
    lines = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    assert [line for line in lines if line.lstrip("+").startswith("seed=")][-1] == "seed=4"


def test_a_stop_rule_that_is_met_leaves_no_point_missing(app) -> None:
    app.run("x=9,1,2,3,4", "breaks_above=8", "hydra.sweeper.stop={value: 2}", *BASIC)
    assert app.states() == ["FAIL", "COMPLETE"]


def test_an_interrupted_repeated_trial_goes_on_with_the_next_seed(app, wait_for) -> None:
    command = ("x=1,2", "+seed=5", "returns=${seed}", "hydra.sweeper.repeats=3", "steps=5",
               "step_seconds=0.1", "hydra.sweeper.n_jobs=1")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: (app.folder / "0/seed-6/steps.log").exists())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert app.states() == ["WAITING"]
    assert app.trials()[0].user_attrs["repeats"] == [[5.0]]
    app.run(*command)
    assert [t.value for t in app.trials()] == [6, 6]
    assert [len((app.folder / f"0/seed-{s}/steps.log").read_text()) for s in (5, 6, 7)] == [5] * 3


def test_a_repeated_trial_with_longer_runs_trains_all_of_its_seeds_on(app, wait_for) -> None:
    command = ("x=1,2", "+seed=5", "returns=${steps}", "hydra.sweeper.repeats=3",
               "hydra.sweeper.growing=[steps]", "step_seconds=0.1",
               "hydra.sweeper.n_jobs=1")  # fmt: skip
    process = app.start(*command, "steps=5")
    wait_for(lambda: (app.folder / "0/seed-6/steps.log").exists())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert app.trials()[0].user_attrs["repeats"] == [[5.0]]
    app.run(*command, "steps=8")
    assert app.trials()[0].user_attrs["repeats"] == [[8.0]] * 3
    assert [len((app.folder / f"0/seed-{s}/steps.log").read_text()) for s in (5, 6, 7)] == [8] * 3


def test_repeats_need_a_seed_in_the_config(app) -> None:
    out = app.run("x=1,2", "hydra.sweeper.repeats=3", *BASIC, code=1)
    assert "hydra.sweeper.repeats: needs a whole number as the config's key seed" in out
    assert not app.folder.exists()


@pytest.mark.parametrize(
    ("rule", "most"),
    [("={value: 50}", 4), ("={patience: 3}", 12), (".patience=3", 12)],
)
def test_a_stop_rule_ends_the_study(app, rule, most) -> None:
    command = (*SPACE, f"hydra.sweeper.stop{rule}", "hydra.sweeper.n_trials=40",
               "hydra.sweeper.sampler.seed=1")  # fmt: skip
    app.run(*command)
    n = len(app.trials())
    assert 0 < n <= most
    out = app.run(*command)
    assert len(app.trials()) == n
    assert re.search("nothing to run: .* the study has ended, since the", out)


@pytest.mark.parametrize(
    ("returned", "reason"),
    [("{loss:1.0,size:2}", "hydra.sweeper.metric=loss"), ("text", "not a finite number")],
)
def test_a_wrong_type_is_said_once_and_ends_the_study(app, returned, reason) -> None:
    out = app.run("x=range(0,8)", f"returns={returned}", "hydra/launcher=basic", code=1)
    assert app.states() == ["FAIL"]
    assert reason in out


def test_a_task_may_return_a_mapping(app) -> None:
    app.run("x=1,2", "returns={loss:1.5,size:2}", "hydra.sweeper.metric=loss", *BASIC)
    assert [t.value for t in app.trials()] == [1.5, 1.5]
