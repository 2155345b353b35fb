"""The study of an ablation: its command line, and the values of its points."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from sweeper.cli.interrupts import Interrupted
from sweeper.errors import TrainingError
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.explain import ablation_study
from sweeper.sweep.explain.ablation import Point
from sweeper.sweep.explain.ablation_study import (
    AblationStudy,
    fixed_arguments,
    run_to_end,
    values_of_points,
)
from sweeper.sweep.explain.differences import Difference

ARGUMENTS = ("--config-dir", "conf", "--multirun", "x=interval(0,1)", "model=a", "w=1,2",
             "study=fresh", "+seed=3", "hydra.sweeper.sampler.seed=1", "z=5",
             "hydra.sweeper.n_trials=9", "hydra.sweeper.stop.patience=3", "hydra.sweeper.best=0",
             "hydra/sweeper/sampler=qmc", "study.of=x", "hydra/sweeper=sweeper")  # fmt: skip
COMMAND = StudyCommand("s", None, ("app.py",), ARGUMENTS, ".")
DIFFERENCES = [Difference("x", "1.0", "0.5"), Difference("model.channels", "[1,2]", "[3]")]
GROUP = Difference("model", "cnn", "lenet", {"lr": ("0.1", "0.2"), "model.hidden": (None, "[84]")})


def trial(x: float, channels: str, value: float | None = 1.0, **others: int):
    params = {"x": x, "model.channels": channels, **others}
    state = TrialState.COMPLETE if value is not None else TrialState.PRUNED
    distributions = {key: CategoricalDistribution([each]) for key, each in params.items()}
    return create_trial(state=state, value=value, params=params, distributions=distributions)


def test_sweeps_and_what_the_ablation_sets_itself_are_not_taken_over() -> None:
    taken = ["--config-dir", "conf", "model=a", "+seed=3", "hydra.sweeper.best=0", "study.of=x",
             "hydra/sweeper=sweeper"]  # fmt: skip
    assert fixed_arguments(COMMAND, ["x", "z"]) == taken


def test_no_key_that_the_ablation_sets_is_taken_over_with_what_lies_below_it() -> None:
    line = AblationStudy(COMMAND, "s-explain-7", Path("f"), [], [GROUP]).arguments([Point()])
    sets = [word for word in line if word.startswith("hydra")]
    keys = [word.partition("=")[0] for word in sets]
    below = [f"{key.replace('/', '.')}.any=1" for key in keys]
    assert len(sets) == len(set(keys)) == 18
    assert fixed_arguments(replace(COMMAND, arguments=(*sets, *below)), []) == []


@pytest.mark.parametrize("flag", [("-cd", "a=b"), ("--config-dir=conf",), ("-cn", "mine")])
def test_flags_are_taken_over_before_all_overrides(flag) -> None:
    command = replace(COMMAND, arguments=("x=1", *flag, "-m", "y=1,2"))
    assert fixed_arguments(command, []) == [*flag, "x=1"]


def test_each_point_is_enqueued_as_it_is() -> None:
    study = AblationStudy(COMMAND, "s-explain-7", Path("f"), ["z=5"], DIFFERENCES)
    line = study.arguments([Point(), Point({"x"})])
    assert line[1:7] == ["app.py", "--multirun", "z=5",
                         "x=1.0,0.5", "model.channels=[1,2],[3]",
                         "hydra.sweeper.study=resume"]  # fmt: skip
    points = "[{x:1.0,model.channels:[1,2]},{x:0.5,model.channels:[1,2]}]"
    assert line[-3:] == ["hydra.sweeper.custom_search_space=null",
                         "hydra.sweeper.n_trials=2",
                         f"hydra.sweeper.enqueue={points}"]  # fmt: skip


def test_a_default_may_be_null() -> None:
    study = AblationStudy(COMMAND, "s", Path("f"), [], [Difference("+x", "null", "on")])
    override = OverridesParser.create().parse_override(study.arguments([Point()])[3])
    assert [str(choice) for choice in override.sweep_iterator()] == ["None", "on"]


@pytest.mark.parametrize("code", [0, 1])
def test_runs_that_bring_no_point_end_the_explanation(tmp_path, monkeypatch, code) -> None:
    study = AblationStudy(COMMAND, "s-explain-7", tmp_path, [], DIFFERENCES)
    monkeypatch.setattr(ablation_study, "run_to_end", lambda *_: code)
    with pytest.raises(TrainingError, match=f"have ended with exit code {code}"):
        study.run([Point()])


SAVING = """
import os, signal, sys, time
def save(*_):
    open("saved", "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
os.kill(os.getppid(), signal.{sent})
time.sleep(60)
"""


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_a_signal_lets_the_runs_save_their_trials_first(tmp_path, sent) -> None:
    with pytest.raises(Interrupted) as caught:
        run_to_end([sys.executable, "-c", SAVING.format(sent=sent)], tmp_path)
    assert caught.value.number == getattr(signal, sent)
    assert (tmp_path / "saved").is_file()


def test_trials_of_the_study_count_if_they_are_points_of_the_path() -> None:
    trials = [
        trial(1, "[1,2]", 0.1, z=5),  # the same number as 1.0
        trial(0.5, "[1,2]", 0.2, z=6),  # another value of what all points share
        trial(0.7, "[1,2]", 0.3, z=5),  # neither the default nor the winner's
        trial(0.5, "[3]", None, z=5),
        trial(0.5, "[3]", 0.4, z=5),
        trial(0.5, "[3]", 0.5, z=5),
    ]
    found = values_of_points(trials, {"z": "5"}, DIFFERENCES)
    assert found == {Point(): 0.1, Point({"x", "model.channels"}): 0.4}


def test_what_only_an_option_has_is_enqueued_with_it_alone() -> None:
    line = AblationStudy(COMMAND, "s-explain-7", Path("f"), [], [GROUP]).arguments(
        [Point(), Point({"model"})]
    )
    assert line[3:5] == ["model=cnn,lenet", "lr=0.1,0.2"]
    assert "model.hidden" not in " ".join(line[3:-1])
    (function,) = (each for each in line if each.startswith("hydra.sweeper.custom_search_space="))
    assert function.endswith("=sweeper.sweep.explain.enqueued.suggest")
    points = "[{model:cnn,lr:0.1},{model:lenet,lr:0.2,model.hidden:[84]}]"
    assert line[-1] == f"hydra.sweeper.enqueue={points}"


def of_group(value: float, **params: object):
    named = {key.replace("__", "."): each for key, each in params.items()}
    distributions = {key: CategoricalDistribution([each]) for key, each in named.items()}
    return create_trial(value=value, params=named, distributions=distributions)


def test_a_trial_counts_if_the_option_has_its_own_values() -> None:
    trials = [
        of_group(0.1, model="lenet", lr=0.1, model__hidden="[84]"),  # the learning rate of cnn
        of_group(0.2, model="lenet", lr=0.2),  # a value of lenet is missing
        of_group(0.3, model="cnn", lr=0.2),
        of_group(0.4, model="cnn", lr=0.1, model__hidden="[84]"),
        of_group(0.5, model="cnn"),  # has not searched what the winner's option did
        of_group(0.6, model="lenet", lr=0.2, model__hidden="[84]"),
    ]
    found = values_of_points(trials, {}, [GROUP])
    assert found == {Point(): 0.5, Point({"model"}): 0.6}
