"""The best trials of a study, and the one of them that `hydra.sweeper.best` chooses."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from sweeper.space.same_point import point_key
from sweeper.sweep.budget import may_be_best
from sweeper.sweep.finals.final_records import Finalists
from sweeper.sweep.settings.setting_rules import refused
from sweeper.text import near_names

KNEE = "knee"
Choice = str | int | None
"""`KNEE`, the index of an objective, or None for no choice."""

Losses = NDArray[np.float64]
"""(n_trials, n_objectives) values, of which lower ones are better."""


def best_trials(study: Study) -> list[FrozenTrial]:
    """Return the best trial in a list; for several objectives the Pareto front, by number.

    The list is empty if no feasible trial is complete. No two members have the same parameters,
    and none was imported from another study. If finalists have run a race, its winner is the best.
    """
    if len(study.directions) == 1:
        ranked = ranked_trials(study)
        finalists = Finalists.recorded(study.user_attrs, [t.number for t in ranked])
        winner = None if finalists is None else finalists.winner
        return [t for t in ranked if t.number == winner] or ranked[:1]
    trials = _candidates(study)
    losses = _losses(trials, study.directions)
    front: dict[Hashable, FrozenTrial] = {}
    for trial, loss in zip(trials, losses, strict=True):
        if not _is_beaten(loss, losses):
            front.setdefault(point_key(trial.params) or trial.number, trial)
    return list(front.values())


def ranked_trials(study: Study) -> list[FrozenTrial]:
    """Return the complete trials of a study with one objective, the best of the search first."""
    trials = _candidates(study)
    losses = _losses(trials, study.directions)[:, 0]
    return [trials[i] for i in np.argsort(losses, kind="stable")]


def chosen_trial(
    front: Sequence[FrozenTrial], directions: Sequence[StudyDirection], choice: Choice
) -> FrozenTrial | None:
    """Return the member of the front that is chosen; with one objective, the best trial."""
    if not front or (choice is None and len(directions) > 1):
        return None
    scaled = _scaled(_losses(front, directions))
    if choice == KNEE:
        return front[knee(scaled)]
    column = int(choice or 0)
    return front[min(range(len(front)), key=lambda i: (scaled[i, column], scaled[i].sum()))]


def knee(scaled: Losses) -> int:
    """Return the index of the point of a front that is farthest below the plane of its extremes.

    `scaled` has the losses of the front, each objective between 0 and 1. An extreme is the best
    point in one objective; for two objectives their plane is a line. Of equally distant points the
    one that is nearest to the origin is taken.

    Source: Das, On characterizing the "knee" of the Pareto curve based on normal-boundary
    intersection, Structural Optimization 18 (1999).
    """
    extremes = [min(range(len(scaled)), key=lambda i: (p[i], scaled[i].sum())) for p in scaled.T]
    heights = np.round(scaled @ _normal(scaled[extremes]), 9)
    return int(np.lexsort((np.linalg.norm(scaled, axis=1), heights))[0])


def parse_choice(value: Any, n_objectives: int, names: Sequence[str] = ()) -> Choice:
    """Return the choice that a value of `hydra.sweeper.best` stands for.

    `names` are those of the objectives, if they have any.

    Raises:
        ConfigError: the value names no objective, or there is only one.
    """
    if value is None:
        return None
    if n_objectives == 1:
        hint = "remove it, since best/ has the best trial"
        raise refused("best", value, "null with a single objective", hint)
    if value == KNEE:
        return KNEE
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n_objectives:
        return value
    if value in names:
        return list(names).index(value)
    numbers = " or ".join(map(str, range(n_objectives)))
    named = f" or its name ({', '.join(names)})" if names else ""
    near = near_names(str(value), [KNEE, *names]) or [KNEE]
    must = f"{KNEE}, the number of an objective ({numbers}){named}, or null"
    raise refused("best", value, must, f"type hydra.sweeper.best={near[0]}")


def _candidates(study: Study) -> list[FrozenTrial]:
    """Return the study's own complete, feasible trials."""
    return list(filter(may_be_best, study.get_trials(deepcopy=False)))


def _losses(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Losses:
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    values = np.array([t.values for t in trials], dtype=float).reshape(len(trials), len(signs))
    return values * signs


def _is_beaten(loss: Losses, losses: Losses) -> bool:
    """Return whether another point is as good in all objectives and better in one."""
    return bool(((losses <= loss).all(axis=1) & (losses < loss).any(axis=1)).any())


def _scaled(losses: Losses) -> Losses:
    """Return the losses with the best value of each objective as 0 and the worst as 1."""
    losses = np.clip(losses, -1e300, 1e300)
    span = np.ptp(losses, axis=0)
    scaled: Losses = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    return scaled


def _normal(extremes: Losses) -> Losses:
    """Return the normal of the plane through the extremes, which points away from the origin.

    If they span no plane, or one on which an objective could get better for nothing, all objectives
    weigh the same.
    """
    n = len(extremes)
    _, sizes, rows = np.linalg.svd(extremes[1:] - extremes[0])
    normal: Losses = rows[-1] * np.sign(rows[-1].sum())
    is_plane = n > 1 and sizes[-1] > 1e-9 and normal.min() > 1e-9
    return normal if is_plane else np.ones(n)
