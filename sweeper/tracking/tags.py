"""MLflow tags that link a run to its study, its trial, its outbox and the run it continues."""

from collections.abc import Mapping

PARENT = "mlflow.parentRunId"
"""MLflow's own tag, by which its page shows a trial's run below the parent run of the study."""
STUDY = "sweeper.study"
TRIAL = "sweeper.trial"
DUPLICATE = "sweeper.duplicate_of"
OUTBOX = "sweeper.outbox"
RESUMED_FROM = "sweeper.resumed_from"
END_REASON = "sweeper.end_reason"
STATE = "sweeper.state"


def of_trial(study: str, number: int, parent_id: str | None) -> dict[str, str]:
    """Return the tags of a trial's run. A later attempt at the trial finds the run by them."""
    tags = {STUDY: study, TRIAL: str(number)}
    return tags | ({PARENT: parent_id} if parent_id else {})


def parent_and_trial(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the id of the parent run and the trial number, or None for a run without a study."""
    parent, number = tags.get(PARENT), tags.get(TRIAL)
    return (parent, number) if parent and number else None
