from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from sweeper.sweep.board import Board
from sweeper.sweep.budget import FAILURE_KEY, Budget
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.space import Space
from sweeper.sweep.spec import SamplerRecipe, StudySpec

X = {"params": {"x": 0.25}, "distributions": {"x": FloatDistribution(0, 1)}}
COMPLETE = create_trial(value=0.5, **X)
FAILED = create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "no memory"}, **X)
RUNNING = create_trial(
    state=TrialState.RUNNING,
    intermediate_values={3: 0.75},
    system_attrs={LEASE_KEY: Lease.take(60).record()},
    **X,
)


@pytest.fixture
def watched():
    """A study with these trials, and who watches it."""

    def make(*trials, direction="minimize"):
        study = optuna.create_study(direction=direction)
        sampler, pruner = optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
        recipe = SamplerRecipe(sampler)
        spec = StudySpec("s", Path(), Space(), Budget(4), recipe, pruner)
        progress = Board(study, spec, in_terminal=False)
        study.add_trials(trials)
        return progress, study.trials

    return make


def shown(table):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize(
    ("trial", "says"), [(COMPLETE, "complete 0.5  x=0.25"), (FAILED, "fail no memory  x=0.25")]
)
def test_a_finished_trial_is_a_line(watched, trial, says) -> None:
    progress, trials = watched(trial)
    assert progress.line(trials[0]) == f"[0/4] trial 0 {says}"


def test_the_table_counts_and_shows_what_runs(watched) -> None:
    progress, trials = watched(COMPLETE, FAILED, RUNNING)
    text = shown(progress.table(trials))
    assert "1 of 4 done, 1 running, 0 pruned, 1 failed" in text
    assert all(word in text for word in ("│ 2", "│ 3", "0.75", "x=0.25", "trials a minute"))


@pytest.mark.parametrize(("direction", "best"), [("minimize", "0.5"), ("maximize", "0.9")])
def test_the_best_is_best_by_the_studys_direction(watched, direction, best) -> None:
    progress, trials = watched(COMPLETE, create_trial(value=0.9, **X), direction=direction)
    assert f"best {best}" in shown(progress.table(trials))
