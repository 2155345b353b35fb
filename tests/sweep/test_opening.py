from datetime import datetime, timedelta
from types import SimpleNamespace

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState, create_trial

from sweeper.cli.git import CodeState
from sweeper.hydra_settings import LocalLauncherConf
from sweeper.sweep.budget import Budget
from sweeper.sweep.opening import CODE_KEY, launcher_lines, measure_lines, opening_lines
from sweeper.sweep.stop_rule import StopRule
from sweeper.sweep.verdict import Objectives

OLD, NEW = CodeState("a" * 40), CodeState("a" * 40, "changes")


@pytest.fixture
def lines():
    def make(n_done, has_work, code=OLD, own_process=True, **settings):
        study = optuna.create_study()
        study.set_user_attr(CODE_KEY, [OLD.commit, OLD.changes])
        for _ in range(n_done):
            study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0))
        for _ in range(settings.pop("n_waiting", 0)):
            study.add_trial(create_trial(state=TrialState.WAITING))
        stop = settings.pop("stop", None)
        n_points = settings.pop("n_points", None)
        space = settings.pop("space", {})
        asked = {"n_trials": 3, "n_jobs": "auto", "steering": ["tracking", "seed"]} | settings
        n_trials = min(asked["n_trials"], n_points or asked["n_trials"])
        spec = SimpleNamespace(
            budget=Budget(n_trials, n_points=n_points, stop=stop), own_process=own_process
        )
        identity = SimpleNamespace(space=space)
        plan = SimpleNamespace(spec=spec, settings=SimpleNamespace(**asked), identity=identity)
        return list(opening_lines(plan, study, has_work, "study=fresh", code))

    return make


def test_a_command_that_runs_nothing_says_so_and_by_which_code_it_was_run(lines) -> None:
    [line] = lines(3, has_work=False)
    assert line.startswith("nothing to run: all 3 trials were done (today ")
    assert line.endswith(") by commit aaaaaaa; study=fresh runs them again")


@pytest.mark.parametrize(("stop", "n_lines"), [(None, 2), (StopRule(0.5, None, True), 1)])
def test_trials_that_wait_ask_for_a_larger_budget_unless_a_rule_has_ended_the_study(
    lines, stop, n_lines
) -> None:
    told = lines(1, has_work=False, n_waiting=2, n_trials=1, stop=stop)
    expected = [told[0], "2 trials wait to be run; type hydra.sweeper.n_trials=3"]
    assert told == expected[:n_lines]


def test_a_searched_key_that_only_steers_is_named(lines) -> None:
    space = dict.fromkeys(("tracking.register", "trackings.x", "optimizer.lr@adam", "seed"), {})
    assert lines(0, has_work=True, space=space) == [
        f"{key} is searched, but it changes nothing that a trial computes"
        for key in ("seed", "tracking.register")
    ]
    assert len(lines(3, has_work=False, space=space)) == 1


@pytest.mark.parametrize(
    ("keys", "metric", "advice"),
    [
        (["loss.margin@hinge"], "val/loss", "; type metric=val/accuracy"),
        (["loss"], "val/loss", "; type metric=val/accuracy"),
        (["loss.margin"], ["val/loss", "n"], "; type 'metric=[val/accuracy,n]'"),
        (["loss.margin", "loss"], "val/accuracy", None),
        (["loss.embedding_size", "losses.x", "optimizer.lr"], "val/loss", None),
    ],
)
def test_a_searched_key_that_changes_what_the_loss_measures_is_named(keys, metric, advice) -> None:
    names = (metric,) if isinstance(metric, str) else tuple(metric)
    plan = SimpleNamespace(
        identity=SimpleNamespace(space=dict.fromkeys(keys, {})),
        settings=SimpleNamespace(objectives=Objectives(len(names), names)),
    )
    config = {"hydra": {"sweeper": {"metric": "${metric}"}}}
    said = list(measure_lines(plan, OmegaConf.create(config)))
    key = keys[0].partition("@")[0]
    problem = f"{key} is searched, and changes what val/loss measures"
    assert said == ([] if advice is None else [problem + advice])
    config = {"hydra": {"sweeper": {"metric": None}}}  # the config of another application
    assert list(measure_lines(plan, OmegaConf.create(config))) == []


@pytest.mark.parametrize(("has_work", "start"), [(False, "nothing to run"), (True, "2 trials")])
def test_changed_code_is_told_in_the_same_line(lines, has_work, start) -> None:
    [line] = lines(2, has_work, code=NEW)
    assert line.startswith(start)
    assert "the code has changed since (commit aaaaaaa -> commit aaaaaaa with changes)" in line


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"n_done": 1, "has_work": True}, None),
        ({"n_done": 0, "has_work": True}, None),
        ({"n_done": 0, "has_work": True, "code": None}, None),
        ({"n_done": 2, "has_work": False, "stop": StopRule(0.5, None, True)}, "reached 1;"),
        ({"n_done": 0, "has_work": True, "n_points": 2}, "has 2 points, fewer than n_trials=3"),
        ({"n_done": 0, "has_work": True, "n_jobs": 4, "own_process": False}, "one worker, not"),
        ({"n_done": 0, "has_work": True, "n_jobs": 4}, None),
        ({"n_done": 0, "has_work": True, "n_jobs": 1, "own_process": False}, None),
    ],
)
def test_only_what_a_user_would_not_expect_is_said(lines, settings, text) -> None:
    said = lines(**settings)
    assert (said == []) if text is None else (text in said[0])


@pytest.mark.parametrize(("days", "text"), [(0, "today"), (1, "yesterday"), (40, "20")])
def test_the_day_is_named_in_words(lines, days, text, monkeypatch) -> None:
    ended = datetime.now() - timedelta(days=days)
    create = create_trial

    def ended_then(**keys):
        trial = create(**keys)
        trial.datetime_complete, trial.datetime_start = ended, ended
        return trial

    monkeypatch.setitem(globals(), "create_trial", ended_then)
    assert f"done ({text}" in lines(3, has_work=False)[0]


LOCAL, JOBLIB = LocalLauncherConf._target_, "hydra_plugins.joblib.JoblibLauncher"


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ({"_target_": LOCAL, "n_jobs": "auto"}, None),
        ({"_target_": LOCAL, "n_jobs": 2}, None),
        ({"_target_": LOCAL, "n_jobs": 7}, "is not used by a study; type hydra.sweeper.n_jobs=7"),
        ({"_target_": JOBLIB, "n_jobs": -1}, None),
        ({"_target_": JOBLIB, "n_jobs": 2}, None),
        ({"_target_": JOBLIB, "n_jobs": 1}, "n_jobs=1 lets 1 of the 2 workers run at a time"),
        ({"_target_": "a.b", "array_parallelism": 1}, "type hydra.launcher.array_parallelism=2 or"),
        ({"_target_": "a.b", "timeout_min": 1}, None),
    ],
)
def test_a_setting_of_the_launcher_that_leaves_workers_out_is_named(launcher, expected) -> None:
    told = list(launcher_lines(launcher, 2))
    assert len(told) == (expected is not None)
    assert expected is None or expected in told[0]
