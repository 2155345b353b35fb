"""A job that follows the search, as a trial of the study that keeps the jobs."""

from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.sweep.budget import POINT_KEY

JOB_KEY = "sweeper:job"
SCORES_KEY, WARNINGS_KEY = "scores", "warnings"


@dataclass(frozen=True)
class FinalJob:
    """Something that a worker does when the search is over.

    Args:
        trial: Number of the search's trial that it is about.
        seed: Seed with which the trial is trained again; None if the trial is scored.
    """

    trial: int
    seed: int | None = None

    @property
    def key(self) -> str:
        """The key of the job; each is done once. It is the name of its folder too."""
        return f"{self.trial}-{'scores' if self.seed is None else f'seed-{self.seed}'}"

    @property
    def text(self) -> str:
        """The job in words."""
        if self.seed is None:
            return f"Scoring trial {self.trial}"
        return f"Finalist {self.trial} with seed {self.seed}"

    @staticmethod
    def of(stored: FrozenTrial) -> "FinalJob":
        """Return the job that a trial of the study of jobs stands for."""
        return FinalJob(*stored.user_attrs[JOB_KEY])

    def template(self, subject: FrozenTrial) -> FrozenTrial:
        """Return the trial that stands for the job, with the parameters of its subject."""
        return create_trial(
            state=TrialState.WAITING,
            params=subject.params,
            distributions=subject.distributions,
            user_attrs={JOB_KEY: [self.trial, self.seed]},
            system_attrs={POINT_KEY: self.key},
        )
