"""The decision of a worker on how a trial ends, from what the task returned or raised."""

import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.errors import MovedError, OutageError
from sweeper.sweep.budget import DUPLICATE_KEY, EXHAUSTED, FAILURE_KEY, FATAL_KEY
from sweeper.text import did_you_mean, in_one_line, shortened

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

    @property
    def is_pause(self) -> bool:
        """True if the trial waits for its promotion."""
        return self.state is None and self.reason == "paused"

    @property
    def is_failure(self) -> bool:
        """True if the trial was run, or should have been, and failed."""
        was_needed = DUPLICATE_KEY not in self.user_attrs and self.reason != EXHAUSTED
        return self.state == TrialState.FAIL and was_needed


@dataclass(frozen=True)
class Objectives:
    """The objectives of a study.

    Args:
        n: Number of objectives.
        names: Their keys in a mapping that the task returns; empty if they are not named.
    """

    n: int
    names: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What a task must return, in words."""
        return "a finite number" if self.n == 1 else f"{self.n} finite numbers"


class EveryTrialError(ValueError):
    """An error that every trial of the study will raise."""


class WrongTypeError(EveryTrialError):
    """A task returned something that is no objective value, as every trial will."""


def judge_return(value: Any, objectives: Objectives, stop_reason: str | None) -> Verdict:
    """Return the verdict on a task that returned `value`.

    `stop_reason` is that of `sweeper.trial.stop_reason`. If it is not None, the task was asked to
    stop, and its value is ignored.
    """
    if stop_reason is not None:
        return judge_stop(stop_reason)
    try:
        return Verdict(TrialState.COMPLETE, objective_values(value, objectives))
    except WrongTypeError as error:
        return judge_error(error)
    except ValueError as error:
        return Verdict(TrialState.FAIL, reason=str(error))


def judge_stop(stop_reason: str) -> Verdict:
    """Return the verdict on a task that was asked to stop."""
    if stop_reason in ("pruned", "infeasible"):
        return Verdict(TrialState.PRUNED, reason=stop_reason)
    if stop_reason == "trial_timeout":
        return Verdict(TrialState.FAIL, reason="it ran longer than hydra.sweeper.trial_timeout")
    return Verdict(None, reason=stop_reason)


def judge_error(error: BaseException, stop_reason: str | None = None) -> Verdict:
    """Return the verdict on a task that raised.

    `optuna.TrialPruned` ends the task as it was asked to, by `stop_reason`; if it was not asked to,
    it prunes the trial. An `OutageError` or a `MovedError` is no fault of the trial, which is put
    back.
    """
    if isinstance(error, optuna.TrialPruned):
        return judge_stop(stop_reason or "pruned")
    if isinstance(error, OutageError | MovedError):
        return Verdict(None, reason=str(error))
    if isinstance(error, EveryTrialError):
        return Verdict(TrialState.FAIL, reason=str(error), user_attrs={FATAL_KEY: True})
    details = "".join(traceback.format_exception(error))
    try:
        text = in_one_line(error)
    except Exception:  # an error may be of any class, and its conversion raise anything
        text = "its text cannot be shown"
    # Not every storage accepts half of a surrogate pair, as a file name may have it.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    reason = f"{type(error).__name__}: {text}".removesuffix(": ")
    return Verdict(TrialState.FAIL, reason=reason, details=details)


def judge_repeat(original: FrozenTrial | None) -> Verdict:
    """Return the verdict on a trial that was not run, since it repeats a point of the study.

    `original` is the trial with the same parameters; None if the study has no other point left.
    """
    if original is None:
        return Verdict(TrialState.FAIL, reason=EXHAUSTED)
    reason = f"it has the parameters of trial {original.number}"
    return Verdict(TrialState.FAIL, reason=reason, user_attrs={DUPLICATE_KEY: original.number})


def objective_values(value: Any, objectives: Objectives) -> tuple[float, ...]:
    """Return the values of the objectives as finite floats.

    Raises:
        WrongTypeError: `value` has another type than numbers, or another number of them.
        ValueError: a number is not finite.
    """
    chosen = _named_values(value, objectives) if isinstance(value, Mapping) else value
    try:
        values = tuple(float(v) for v in _listed(chosen))
    except Exception as error:  # a value may be of any class, and its conversion raise anything
        raise _wrong_type(value, objectives) from error
    if len(values) != objectives.n:
        raise _wrong_type(value, objectives, n_values=len(values))
    if not all(map(math.isfinite, values)):
        raise ValueError(f"the task returned {value!r}, not {objectives.expected}")
    return values


def _listed(value: Any) -> list[Any]:
    """Return the items of a list, a tuple, an array or a tensor, or a single value as a list."""
    if isinstance(value, str | bytes):
        return [value]
    try:
        return list(value)
    except TypeError:  # a number, or an array without dimensions
        return [value]


def _named_values(value: Mapping[Any, Any], objectives: Objectives) -> list[Any]:
    """Return the objectives' values in a mapping; without names, all of its values.

    Raises:
        WrongTypeError: the mapping does not have them.
    """
    keys = [str(key) for key in value]
    if not objectives.names and len(value) == objectives.n:
        return list(value.values())
    missing = [name for name in objectives.names if name not in value]
    if objectives.names and not missing:
        return [value[name] for name in objectives.names]
    shown = ", ".join(keys) or "nothing"
    if missing:
        near = did_you_mean(missing[0], keys) if keys else "return it"
        raise WrongTypeError(
            f"the task returned a mapping of {shown}, without {missing[0]}; {near}"
        )
    example = keys[0] if objectives.n == 1 else f"[{','.join(keys[: objectives.n])}]"
    raise WrongTypeError(
        f"the task returned a mapping of {shown}; type hydra.sweeper.metric={example} to say which "
        f"of them is the objective"
    )


def _wrong_type(value: Any, objectives: Objectives, n_values: int = 1) -> WrongTypeError:
    try:
        text = shortened(in_one_line(repr(value)), 200)
    except Exception:  # the same holds for its text
        text = f"an object of {type(value).__name__}"
    directions = ",".join(["minimize"] * n_values)
    hint = f"; type hydra.sweeper.direction=[{directions}] for {n_values} objectives"
    message = f"the task returned {text}, not {objectives.expected}"
    return WrongTypeError(message + (hint if n_values > 1 else ""))


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
