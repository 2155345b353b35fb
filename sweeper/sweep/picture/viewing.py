"""A study as plain values, from which its figures are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.figures.study.view import Parameter, StudyView, TrialView
from sweeper.sweep.budget import STATE_WORDS, is_shown
from sweeper.sweep.curve import curve_of, is_paused
from sweeper.sweep.finals.final_records import FINALISTS_RECORD, Scores
from sweeper.sweep.picture.importances import importances_of
from sweeper.sweep.picture.suggestions import advice
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.results.front import best_trials, chosen_trial
from sweeper.sweep.stop_rule import is_feasible


def view_of(
    study: optuna.Study,
    metrics: Sequence[str],
    options: Mapping[str, str],
    n_trials: int | None = None,
    choice: str | int | None = None,
) -> StudyView:
    """Return what the figures show of a study.

    Args:
        study: The study.
        metrics: The names of its objectives.
        options: The option of each config group that is not searched.
        n_trials: The number of trials that were asked for.
        choice: The member of a Pareto front that is chosen, as `chosen_trial` takes it.
    """
    own = [t for t in study.get_trials(deepcopy=False) if is_shown(t)]
    pairs = [(t, _trial_view(t)) for t in own if t.state != TrialState.WAITING or curve_of(t)]
    front = best_trials(study)
    best = chosen_trial(front, study.directions, choice)
    scores = Scores.recorded(study.user_attrs, None if best is None else best.number)
    view = StudyView(
        name=study.study_name,
        about=_about(options),
        metrics=list(metrics),
        maximize=[direction == StudyDirection.MAXIMIZE for direction in study.directions],
        trials=[trial for _, trial in pairs],
        parameters=[p for p in _parameters(own) if not p.is_constant],
        best=None if best is None else best.number,
        best_text="" if best is None else values_text(best),
        remarks=scores.lines if scores else [],
        front=[trial.number for trial in front],
        n_trials=n_trials,
    )
    found = importances_of(view, {trial.number: trial for trial in own})
    order = sorted(view.parameters, key=lambda p: -found.shares.get(p.name, 0.0))
    view = replace(view, parameters=order, importances=found.shares, basis=found.basis)
    return replace(view, advice=advice(view, FINALISTS_RECORD in study.user_attrs))


def _about(options: Mapping[str, str]) -> str:
    return " on ".join(options[group] for group in ("model", "data") if group in options)


def _trial_view(trial: FrozenTrial) -> TrialView:
    curve = curve_of(trial)
    state = STATE_WORDS.get(trial.state, "paused" if is_paused(trial) else "unfinished")
    values: Sequence[float] = ()
    if trial.state == TrialState.COMPLETE:
        values = trial.values
    elif trial.state != TrialState.FAIL and curve:
        values = [curve[-1][1]]
    return TrialView(trial.number, state, trial.params, values, curve, is_feasible(trial))


def _parameters(trials: Sequence[FrozenTrial]) -> list[Parameter]:
    """Return the parameters of the trials, with all values that they have."""
    distributions: dict[str, BaseDistribution] = {}
    values: dict[str, list[Any]] = {}
    for trial in trials:
        distributions |= trial.distributions
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    return [_parameter(name, d, values[name]) for name, d in distributions.items()]


def _parameter(name: str, distribution: BaseDistribution, values: Sequence[Any]) -> Parameter:
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        are_numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in choices)
        return Parameter(name, tuple(sorted(choices)) if are_numbers else tuple(choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return Parameter(
        name,
        low=min(distribution.low, *values),
        high=max(distribution.high, *values),
        log=distribution.log,
        integer=isinstance(distribution, IntDistribution),
    )
