"""The importance of each parameter, by all trials that have reported a value."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from sweeper.figures.study.view import StudyView, TrialView

FEWEST = 5
"""The number of trials from which on importances are told."""
FEWEST_OF_TOP = 5
"""The number of good trials that PED-ANOVA needs for stable importances, where there are enough."""
SURE = 20
"""The number of trials below which importances are rough."""


@dataclass(frozen=True)
class Importances:
    """What each parameter mattered.

    Args:
        basis: Of which trials the shares are, and how they were compared; or why there are none.
        shares: The share of each parameter by its name, with a sum of 1; may be empty.
    """

    basis: str
    shares: Mapping[str, float] = field(default_factory=dict)


def importances_of(view: StudyView, trials: Mapping[int, FrozenTrial]) -> Importances:
    """Return the importances of the parameters of a study.

    Trials that were paused or pruned take part: with one objective they have a place in
    `StudyView.ranked`. With several objectives only complete trials have values of all of them.

    trials: the trials by their numbers.

    Source: Watanabe, Bansal and Hutter, PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces, IJCAI 2023.
    """
    n = len(view.valued)
    if not n:
        return Importances("No trial has a value")
    if n < FEWEST:
        return Importances(f"{_counted(n)} too few to tell what mattered")
    params = {name for trial in view.valued for name in trial.params}
    names = [p.name for p in view.parameters if p.name in params]
    if not names:
        return Importances("Every parameter has a single value")
    values, maximize = {t.number: list(t.values) for t in view.valued}, view.maximize
    if len(maximize) == 1:
        values, maximize = {number: [place] for number, place in _places(view).items()}, [False]
    study = _study_of([(trials[number], each) for number, each in values.items()], maximize)
    shares = _shares(study, n, names)
    if not shares:
        return Importances(f"No parameter made a difference in {n} trials")
    return Importances(_basis(view.valued), shares)


def _places(view: StudyView) -> dict[int, float]:
    """Return the place of each trial in their ranking by its number; equal trials share one."""
    places: dict[int, float] = {}
    for before, trial in pairwise([view.ranked[0], *view.ranked]):
        is_equal = (before.reach, before.values) == (trial.reach, trial.values)
        places[trial.number] = places.get(before.number, 0.0) + (not is_equal)
    return places


def _study_of(
    trials: Iterable[tuple[FrozenTrial, Sequence[float]]], maximize: Sequence[bool]
) -> optuna.Study:
    """Return a study of complete trials with these values, in memory."""
    directions = [StudyDirection.MAXIMIZE if m else StudyDirection.MINIMIZE for m in maximize]
    study = optuna.create_study(directions=directions, storage=optuna.storages.InMemoryStorage())
    for trial, values in trials:
        params, distributions = trial.params, trial.distributions
        study.add_trial(create_trial(params=params, distributions=distributions, values=values))
    return study


def _shares(study: optuna.Study, n: int, names: Sequence[str]) -> dict[str, float]:
    n_top = min(max(FEWEST_OF_TOP, math.ceil(n / 10)), n // 2)
    with warnings.catch_warnings():
        # Optuna warns of options that few trials have chosen, and that `normalize` is new.
        warnings.simplefilter("ignore")
        evaluator = PedAnovaImportanceEvaluator(target_quantile=n_top / n)
        shares = get_param_importances(
            study, evaluator=evaluator, params=list(names), normalize=False
        )
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()} if total > 0 else {}


def _basis(trials: Sequence[TrialView]) -> str:
    n, n_complete = len(trials), sum(trial.state == "complete" for trial in trials)
    text = f"{n} complete trials"
    if n_complete < n:
        text = (
            f"{n} trials, {n_complete} of them complete, ranked by how far they came, then by value"
        )
    return f"rough, from {text}" if n < SURE else f"from {text}"


def _counted(n: int) -> str:
    return "1 trial with a value is" if n == 1 else f"{n} trials with a value are"
