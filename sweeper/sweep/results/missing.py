"""The points of a finite space that a study was asked for and that failed."""

import shlex
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweeper.cli.overrides import override_line
from sweeper.secrets import masked_uri
from sweeper.space.live import LiveSpace
from sweeper.space.same_point import point_key
from sweeper.sweep.budget import POINT_KEY, Budget, failures, is_own
from sweeper.sweep.draft import FIXED_PARAMS_KEY
from sweeper.text import printable

MAX_SHOWN = 10


def missing_line(trials: Sequence[FrozenTrial], budget: Budget, live: LiveSpace) -> str:
    """Return a line on the points of a finite space that failed and have no other trial.

    It is empty if none is missing. In an infinite space none is, because another point takes the
    place of a failed one. Nor is one after a stop rule has ended the study.
    """
    limits = [n for n in (budget.n_trials, budget.n_points) if n is not None]
    is_finite = budget.n_points is not None or budget.exhaustive
    if not limits or not is_finite or budget.stop_reason(trials) is not None:
        return ""
    others = [t for t in trials if t.state != TrialState.FAIL and is_own(t)]
    has_trial = set(map(_key, others))
    failed = {_key(t): t for t in failures(trials) if _is_asked_for(t, budget)}
    absent = [trial for key, trial in failed.items() if key not in has_trial]
    n_done = len({_key(t) for t in others if t.state.is_finished() or budget.is_paused(t)})
    room = max(0, min(limits) - n_done)
    missing = [_text(trial, live) for trial in absent[:room]]
    n = len(missing)
    if not n:
        return ""
    shown = "; ".join(missing[:MAX_SHOWN])
    more = f"; and {n - MAX_SHOWN} more" if n > MAX_SHOWN else ""
    verb, them = ("is", "it") if n == 1 else ("are", "them")
    return (
        f"{n} of {min(limits)} points failed and {verb} missing: {shown}{more}; "
        f"the same command tries {them} again"
    )


def _is_asked_for(trial: FrozenTrial, budget: Budget) -> bool:
    """Return whether a point is one of those that a grid was asked for, maybe not all of them."""
    index = trial.system_attrs.get(POINT_KEY)
    return index is None or budget.n_trials is None or index < budget.n_trials


def _params(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the parameters of a trial, those among them that it never came to read."""
    return {**trial.system_attrs.get(FIXED_PARAMS_KEY, {}), **trial.params}


def _key(trial: FrozenTrial) -> Hashable:
    point = trial.system_attrs.get(POINT_KEY)
    return (point_key(_params(trial)) or trial.number) if point is None else int(point)


def _text(trial: FrozenTrial, live: LiveSpace) -> str:
    try:
        params: Mapping[str, Any] = live.by_key(_params(trial))
    except Exception:  # it may have failed because its config cannot be composed
        params = _params(trial)
    lines = [masked_uri(override_line(key, value)) for key, value in params.items()]
    return printable(shlex.join(lines)) or f"trial {trial.number}"
