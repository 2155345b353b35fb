"""What a task returned, judged: values to tell, or the reason why it failed."""

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

DUPLICATE_KEY = "duplicate_of"
# Sums over more threads round differently, so a trial is repeated with as many as it had.
THREADS_KEY = "sweeper:threads"
THREADS_VARIABLE = "OMP_NUM_THREADS"
FAILURE_FILE = "failure.txt"


@dataclass(frozen=True)
class Verdict:
    """How an attempt ends; `state` None puts the trial back to be resumed."""

    state: TrialState | None
    values: tuple[float, ...] = ()
    reason: str | None = None
    details: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


def judge_return(value: Any, n_objectives: int, stop_reason: str | None) -> Verdict:
    """Judge a task that returned; a task that was told to stop is not judged by its value."""
    if stop_reason in ("pruned", "infeasible"):
        return Verdict(TrialState.PRUNED, reason=stop_reason)
    if stop_reason is not None:
        return Verdict(None, reason=stop_reason)
    try:
        values = objective_values(value, n_objectives)
    except ValueError as error:
        return Verdict(TrialState.FAIL, reason=str(error))
    return Verdict(TrialState.COMPLETE, values)


def judge_error(error: BaseException) -> Verdict:
    """Judge a task that raised; Optuna's own way to say `pruned` is understood."""
    if isinstance(error, optuna.TrialPruned):
        return Verdict(TrialState.PRUNED, reason="pruned")
    details = "".join(traceback.format_exception(error))
    return Verdict(TrialState.FAIL, reason=f"{type(error).__name__}: {error}", details=details)


def judge_twin(twin: FrozenTrial) -> Verdict:
    """Judge a trial by an identical one that has ended."""
    values = tuple(twin.values or ()) if twin.state == TrialState.COMPLETE else ()
    notes = {DUPLICATE_KEY: twin.number}
    return Verdict(twin.state, values, reason=f"duplicate of trial {twin.number}", notes=notes)


def objective_values(value: Any, n_objectives: int) -> tuple[float, ...]:
    """Return a task's result as finite floats, one an objective.

    Raises ValueError saying what the task returned and what it has to.
    """
    wanted = "a finite number" if n_objectives == 1 else f"{n_objectives} finite numbers"
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    try:
        values = tuple(float(v) for v in (value if listed else [value]))
    except (TypeError, ValueError):
        values = ()
    if len(values) != n_objectives or not all(map(math.isfinite, values)):
        raise ValueError(f"the task returned {value!r}, not {wanted}")
    return values


def find_twin(trials: Sequence[FrozenTrial], params: dict[str, Any]) -> FrozenTrial | None:
    """Return a finished trial with exactly these parameters."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return next((t for t in trials if t.state in ended and t.params == params), None)
