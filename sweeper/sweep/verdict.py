"""The decision of a worker on how a trial ends, from what the task returned or raised."""

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.sweep.budget import FAILURE_KEY
from sweeper.text import in_one_line

DUPLICATE_KEY = "duplicate_of"
FAILURE_FILE = "failure.txt"
FAILURE_FILE_KEY = "sweeper:failure_file"


@dataclass(frozen=True)
class Verdict:
    """Decision of a worker on how its attempt at a trial ends.

    The worker writes it to the Optuna study, unless another worker has taken the trial over
    meanwhile. Observers then receive the result as an `observer.Outcome`.

    Args:
        state: State to end the trial with; None to put it back, so that it is resumed later.
        values: Values of the objectives, if the trial is complete.
        reason: Why the trial is not complete.
        details: Traceback of the error that the task raised.
        user_attrs: Further attributes to write to the trial.
    """

    state: TrialState | None
    values: tuple[float, ...] = ()
    reason: str | None = None
    details: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


def judge_return(value: Any, n_objectives: int, stop_reason: str | None) -> Verdict:
    """Return the verdict on a task that returned `value`.

    `stop_reason` is that of `sweeper.trial.stop_reason`. If it is not None, the task was asked to
    stop, and its value is ignored.
    """
    if stop_reason in ("pruned", "infeasible"):
        return Verdict(TrialState.PRUNED, reason=stop_reason)
    if stop_reason == "trial_timeout":
        return Verdict(TrialState.FAIL, reason="it ran longer than hydra.sweeper.trial_timeout")
    if stop_reason is not None:
        return Verdict(None, reason=stop_reason)
    try:
        values = objective_values(value, n_objectives)
    except ValueError as error:
        return Verdict(TrialState.FAIL, reason=str(error))
    return Verdict(TrialState.COMPLETE, values)


def judge_error(error: BaseException) -> Verdict:
    """Return the verdict on a task that raised; `optuna.TrialPruned` prunes the trial."""
    if isinstance(error, optuna.TrialPruned):
        return Verdict(TrialState.PRUNED, reason="pruned")
    details = "".join(traceback.format_exception(error))
    try:
        text = in_one_line(error)
    except Exception:  # an error may be of any class, and its conversion raise anything
        text = "its text cannot be shown"
    # Not every storage accepts half of a surrogate pair, as a file name may have it.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return Verdict(TrialState.FAIL, reason=f"{type(error).__name__}: {text}", details=details)


def judge_duplicate(original: FrozenTrial) -> Verdict:
    """Return the verdict on a trial with the same parameters as `original`, which has ended."""
    values = tuple(original.values or ()) if original.state == TrialState.COMPLETE else ()
    reason = f"duplicate of trial {original.number}"
    user_attrs = {DUPLICATE_KEY: original.number}
    return Verdict(original.state, values, reason=reason, user_attrs=user_attrs)


def objective_values(value: Any, n_objectives: int) -> tuple[float, ...]:
    """Return the values of the objectives as finite floats.

    Raises:
        ValueError: `value` does not have `n_objectives` finite numbers.
    """
    expected = "a finite number" if n_objectives == 1 else f"{n_objectives} finite numbers"
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    try:
        values = tuple(float(v) for v in (value if is_sequence else [value]))
    except Exception:  # a value may be of any class, and its conversion raise anything
        values = ()
    if len(values) != n_objectives or not all(map(math.isfinite, values)):
        raise ValueError(f"the task returned {value!r}, not {expected}")
    return values


def failure_text(trial: FrozenTrial) -> str:
    """Return why a trial failed, with the file that has the traceback, if there is one.

    With `HYDRA_FULL_ERROR=1` the content of the file is returned instead of its name.
    """
    reason = str(trial.user_attrs.get(FAILURE_KEY, "no reason on record"))
    file = trial.user_attrs.get(FAILURE_FILE_KEY)
    if file is None:
        return reason
    if WANTS_TRACEBACK and Path(file).is_file():
        return Path(file).read_text(encoding="utf-8").rstrip()
    return f"{reason}; see {file}"


def find_original(trials: Sequence[FrozenTrial], params: dict[str, Any]) -> FrozenTrial | None:
    """Return the first complete or pruned trial with these parameters, or None."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return next((t for t in trials if t.state in ended and t.params == params), None)
