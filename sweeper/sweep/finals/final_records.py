"""The results of the jobs that follow a search, as its study keeps them in user attributes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCORES_RECORD = "sweeper:scores"


@dataclass(frozen=True)
class Scores:
    """The scores of a study's winner.

    Args:
        trial: Number of the trial.
        values: Scores by their names; empty if the function returned none.
        failure: Why there are none; None if nothing failed.
    """

    trial: int
    values: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None

    @staticmethod
    def recorded(user_attrs: Mapping[str, Any], trial: int | None) -> "Scores | None":
        """Return what the attributes of a study say of the scores of this trial, if anything."""
        record = user_attrs.get(SCORES_RECORD)
        return Scores(**record) if record is not None and record["trial"] == trial else None

    def record(self) -> dict[str, Any]:
        """Return the scores as JSON."""
        return asdict(self)

    @property
    def lines(self) -> list[str]:
        """What a command says of the scores when it ends."""
        if self.failure is not None:
            return [f"Not scored: {self.failure}; the same command tries again"]
        texts = [f"{name} {value:.4f}" for name, value in self.values.items()]
        return [f"Scored once, at the end: {', '.join(texts)}"] if texts else []
