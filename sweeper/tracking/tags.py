"""The tags that tie a run to others: to its study, its trial, its outbox, the run it continues."""

from collections.abc import Mapping

PARENT = "mlflow.parentRunId"
"""MLflow's own: it shows the run below its parent, which is the run of the study."""
STUDY = "sweeper.study"
TRIAL = "sweeper.trial"
DUPLICATE = "sweeper.duplicate_of"
OUTBOX = "sweeper.outbox"
RESUMED_FROM = "sweeper.resumed_from"
END_REASON = "sweeper.end_reason"
STATE = "sweeper.state"


def of_trial(study: str, number: int, parent_id: str | None) -> dict[str, str]:
    """Return the tags of the run of a trial; a later attempt finds the same run by them."""
    tags = {STUDY: study, TRIAL: str(number)}
    return tags | ({PARENT: parent_id} if parent_id else {})


def parent_and_trial(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the run of the study and the number of the trial, or None for any other run."""
    parent, number = tags.get(PARENT), tags.get(TRIAL)
    return (parent, number) if parent and number else None
