"""The study of an ablation: its command line, and the values of its points."""

from pathlib import Path

from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from sweeper.sweep.command import StudyCommand
from sweeper.sweep.explain.ablation import Point
from sweeper.sweep.explain.ablation_study import (
    AblationStudy,
    fixed_arguments,
    values_of_points,
)

ARGUMENTS = ("--config-dir", "conf", "--multirun", "x=interval(0,1)", "model=a", "w=1,2",
             "study=fresh", "+seed=3", "hydra.sweeper.sampler.seed=1", "z=5",
             "hydra/sweeper=sweeper")  # fmt: skip
COMMAND = StudyCommand("s", None, ("app.py",), ARGUMENTS, ".")
TEXTS = {"x": ("1.0", "0.5"), "model.channels": ("[1,2]", "[3]")}


def trial(x: float, channels: str, value: float | None = 1.0, **others: int):
    params = {"x": x, "model.channels": channels, **others}
    state = TrialState.COMPLETE if value is not None else TrialState.PRUNED
    distributions = {key: CategoricalDistribution([each]) for key, each in params.items()}
    return create_trial(state=state, value=value, params=params, distributions=distributions)


def test_sweeps_and_what_steers_the_search_are_not_taken_over() -> None:
    taken = ["--config-dir", "conf", "model=a", "+seed=3", "hydra/sweeper=sweeper"]
    assert fixed_arguments(COMMAND, ["x", "z"]) == taken


def test_each_point_is_enqueued_as_it_is() -> None:
    study = AblationStudy(COMMAND, "s-explain-7", Path("f"), ["z=5"], TEXTS)
    line = study.arguments([Point(), Point({"x"})])
    assert line[1:7] == ["app.py", "--multirun", "z=5",
                         "x=choice(1.0,0.5)", "model.channels=choice([1,2],[3])",
                         "hydra.sweeper.study=resume"]  # fmt: skip
    points = "[{x:1.0,model.channels:[1,2]},{x:0.5,model.channels:[1,2]}]"
    assert line[-2:] == ["hydra.sweeper.n_trials=2", f"hydra.sweeper.enqueue={points}"]


def test_trials_of_the_study_count_if_they_are_points_of_the_path() -> None:
    trials = [
        trial(1, "[1,2]", 0.1, z=5),  # the same number as 1.0
        trial(0.5, "[1,2]", 0.2, z=6),  # another value of what all points share
        trial(0.7, "[1,2]", 0.3, z=5),  # neither the default nor the winner's
        trial(0.5, "[3]", None, z=5),
        trial(0.5, "[3]", 0.4, z=5),
        trial(0.5, "[3]", 0.5, z=5),
    ]
    found = values_of_points(trials, {"z": "5"}, TEXTS)
    assert found == {Point(): 0.1, Point(TEXTS): 0.4}
