"""Why a study has ended before it ran all of its trials, in words."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import DONE, Budget, is_own
from sweeper.sweep.stop_rule import is_feasible
from sweeper.text import plural


def ending_line(budget: Budget, trials: Sequence[FrozenTrial], now: float) -> str | None:
    """Return why there are fewer trials than were asked for, or None.

    `now` is in seconds since 1970.
    """
    stop = budget.stop_reason(trials)
    if stop is not None:
        return f"The study has ended: {stop}"
    n_done = sum(map(budget.is_done, trials))
    if budget.n_trials is not None and n_done >= budget.n_trials:
        return None
    if budget.n_points is None and budget.is_exhausted(trials):
        return "The study has ended: the search space has no other point"
    if budget.deadline is not None and now >= budget.deadline:
        return "The time limit of the command has passed; the same command goes on"
    if budget.only_failed(trials):
        failed = plural(len(budget.failed(trials)), "trial")
        return f"The command has ended: {failed} failed; the same command tries others"
    return None


def silent_constraints(trials: Sequence[FrozenTrial], keys: Sequence[str]) -> list[str]:
    """Return the constraints for which no complete trial has noted a value."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE and is_own(t)]
    noted = {key for t in complete for key in t.constraints}
    return [key for key in keys if complete and key not in noted]


def violated_constraints(trials: Sequence[FrozenTrial]) -> str | None:
    """Return a line that says that all trials violate a constraint, or None.

    Failed trials and those that still run have no part in it.
    """
    done = [t for t in trials if is_own(t) and t.state in DONE]
    if not done or any(map(is_feasible, done)):
        return None
    limits = {key for t in done for key, violation in t.constraints.items() if violation > 0}
    return (
        f"No trial is best, since each one violates hydra.sweeper.constraints "
        f"({', '.join(sorted(limits))}); raise the limits, or search where the values are smaller"
    )
