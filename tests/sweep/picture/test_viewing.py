"""Studies as the sweeper keeps them, and what their figures show."""

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.sweep.budget import DUPLICATE_KEY, IMPORTED_KEY
from sweeper.sweep.curve import PLACE_KEY, Place
from sweeper.sweep.finals.final_records import SCORES_RECORD
from sweeper.sweep.picture.saving import EarlyFigures, draw
from sweeper.sweep.picture.viewing import view_of

LR = FloatDistribution(1e-4, 1e-1, log=True)
SIZE = CategoricalDistribution([128, 32, 64])
SPACE = {"optimizer.lr": LR, "data.batch_size": SIZE}
PAUSED = {PLACE_KEY: Place(is_paused=True).record()}


def trial(lr: float, value: float | None = None, curve: Any = (), **more: Any) -> FrozenTrial:
    params = {"optimizer.lr": lr, "data.batch_size": 64}
    reports = dict(enumerate(curve))
    return create_trial(
        value=value, params=params, distributions=SPACE, intermediate_values=reports, **more
    )


def study_of(*trials: FrozenTrial, direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(study_name="rates", direction=direction)
    study.add_trials(trials)
    return study


def view(study: optuna.Study):
    return view_of(study, ["val/accuracy"], {"model": "cnn", "data": "digits"}, n_trials=9)


def test_trials_have_their_states_and_what_they_reported_last() -> None:
    seen = view(
        study_of(
            trial(0.01, 0.9, [0.5, 0.9]),
            trial(0.02, curve=[0.4], state=TrialState.WAITING, system_attrs=PAUSED),
            trial(0.03, curve=[0.4, 0.3], state=TrialState.PRUNED),
            trial(0.04, curve=[0.2], state=TrialState.FAIL),
            trial(0.05, curve=[0.1], state=TrialState.RUNNING),
            trial(0.06, state=TrialState.WAITING),
            trial(0.01, 0.9, user_attrs={IMPORTED_KEY: True}),
            trial(0.01, state=TrialState.FAIL, user_attrs={DUPLICATE_KEY: 0}),
        )
    )
    states = [(t.number, t.state, list(t.values)) for t in seen.trials]
    assert states == [
        (0, "complete", [0.9]),
        (1, "paused", [0.4]),
        (2, "pruned", [0.3]),
        (3, "failed", []),
        (4, "unfinished", [0.1]),
    ]
    assert (seen.name, seen.about, seen.best, seen.best_text) == (
        "rates",
        "cnn on digits",
        0,
        "0.9",
    )


def test_a_trial_that_violates_a_constraint_is_known() -> None:
    large = trial(0.01, 0.9, constraints={"size": 1.0})
    seen = view(study_of(large, trial(0.02, 0.5, constraints={"size": -1.0})))
    assert [t.is_feasible for t in seen.trials] == [False, True]
    assert seen.best == 1


def test_parameters_are_sorted_numbers_and_constant_ones_are_left_out() -> None:
    params = {"size": 64, "one": 3, "kind": "b"}
    kinds = CategoricalDistribution(["b", "a"])
    distributions = {"size": SIZE, "one": IntDistribution(3, 3), "kind": kinds}
    seen = view(study_of(create_trial(value=1.0, params=params, distributions=distributions)))
    assert [(p.name, p.choices) for p in seen.parameters] == [
        ("size", (32, 64, 128)),
        ("kind", ("b", "a")),
    ]


def test_the_scores_of_the_winner_are_told() -> None:
    study = study_of(trial(0.01, 0.9))
    study.set_user_attr(SCORES_RECORD, {"trial": 0, "values": {"test/accuracy": 0.5}})
    assert view(study).remarks == ["Scored once, at the end: test/accuracy 0.5000"]


def test_what_mattered_is_told_by_paused_trials_too() -> None:
    rates = [10 ** (-4 + 3 * i / 23) for i in range(24)]
    paused = [
        trial(lr, curve=[math.log10(lr)], state=TrialState.WAITING, system_attrs=PAUSED)
        for lr in rates
    ]
    seen = view(study_of(*paused, trial(0.09, 0.9, [0.5, 0.9])))
    assert seen.importances["optimizer.lr"] > 0.9
    assert seen.parameters[0].name == "optimizer.lr"
    assert "25 trials, 1 of them complete" in seen.basis
    assert seen.advice[0].startswith("Widen optimizer.lr above 0.1: the best trial has 0.09")


@pytest.mark.parametrize(
    ("trials", "basis"),
    [
        ([], "No trial has a value"),
        ([trial(0.1, state=TrialState.FAIL)], "No trial has a value"),
        ([trial(0.1, 0.5)] * 4, "4 trials with a value are too few to tell what mattered"),
        ([trial(0.1, 0.5)] * 9, "No parameter made a difference in 9 trials"),
        ([create_trial(value=float(i)) for i in range(9)], "Every parameter has a single value"),
    ],
)
def test_why_there_are_no_importances_is_told(trials: list[FrozenTrial], basis: str) -> None:
    seen = view(study_of(*trials))
    assert (seen.basis, seen.importances) == (basis, {})


def test_several_objectives_have_a_front() -> None:
    study = optuna.create_study(study_name="s", directions=["maximize", "minimize"])
    for i in range(8):
        params, values = {"optimizer.lr": 0.001 * (i + 1)}, [i / 8, float(i % 4)]
        study.add_trial(
            create_trial(values=values, params=params, distributions={"optimizer.lr": LR})
        )
    seen = view_of(study, ["val/accuracy", "parameters"], {}, choice="knee")
    assert set(seen.front) == {4, 5, 6, 7}
    assert seen.best in seen.front
    assert {"study", "study_small", "pareto_front"} <= draw(seen, []).keys()


def test_what_was_drawn_early_is_not_drawn_again_unless_the_trials_differ() -> None:
    study = study_of(*(trial(0.01 * i, 0.1 * i) for i in range(1, 6)))
    early = EarlyFigures.of(view(study), [])
    assert early.files.keys() == {"history", "importances", "slice", "parallel_coordinates"}
    study.set_user_attr(SCORES_RECORD, {"trial": 4, "values": {"test/accuracy": 0.5}})
    done = draw(view(study), [], early)
    assert done == draw(view(study), [])
    assert all(done[name] is early.files[name] for name in early.files)
    study.add_trial(trial(0.09, 0.9))
    changed = draw(view(study), [], early)
    assert changed == draw(view(study), [])
    assert changed["history"] != early.files["history"]
