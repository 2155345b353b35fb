"""What a study does when its search is over, and the second study that keeps the jobs.

The jobs are trials of a study of their own. So they are claimed, resumed and retried like all
trials, and neither a budget nor a sampler nor a page of the search meets them. It lies in a journal
of its own, or beside the search in a database that the user has chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optuna.storages import BaseStorage

from sweeper.sweep.budget import Budget

SUFFIX = ".finals"
FINALS_JOURNAL = "finals.log"


@dataclass(frozen=True)
class FinalStage:
    """What a study does when its search is over.

    Args:
        conclude: Import path of the function that is called once with the winner, or None.
        choice: Which member of a Pareto front is the winner, as `results.front.Choice`.
        n_finalists: Number of the best trials that are trained again; 0 for none.
        seeds: The further seeds with which they are.
        may_miss_points: True if a study whose points failed has what was asked for.
        failed_before: Numbers of the jobs that had failed when this command started.
    """

    conclude: str | None = None
    choice: str | int | None = None
    n_finalists: int = 0
    seeds: tuple[int, ...] = ()
    may_miss_points: bool = False
    failed_before: frozenset[int] = frozenset()

    @property
    def is_needed(self) -> bool:
        """True if there is anything to do."""
        return self.conclude is not None or self.n_finalists > 0


def finals_name(study: str) -> str:
    """Return the name of the study that keeps the jobs of `study`."""
    return f"{study}{SUFFIX}"


def finals_place(storage: str | BaseStorage | None, folder: Path) -> str | BaseStorage:
    """Return where the jobs are, for a search in `storage`: beside it, or in a journal in `folder`.

    A study's own journal holds a single study, which any program may then load.
    """
    return str(folder / FINALS_JOURNAL) if storage is None else storage


def without_finals(names: Sequence[str]) -> list[str]:
    """Return the names of studies without those that keep the jobs of another one."""
    return [n for n in names if not (n.endswith(SUFFIX) and n.removesuffix(SUFFIX) in names)]


def finals_budget(search: Budget, stage: FinalStage) -> Budget:
    """Return the limits of the jobs: all that exist are run, and no other trial is created.

    Without `n_trials`, the time limit is that of the search, and the jobs follow it.
    """
    return replace(
        search,
        n_trials=None,
        exhaustive=True,  # of two jobs with the same key, only one is run
        failed_before=stage.failed_before,
        deadline=None if search.n_trials is None else search.deadline,
        max_failure_rate=None,
        n_points=None,
        stop=None,
        promotion=None,
    )
