"""The runs of a study in MLflow: one parent run, and below it a run for each trial."""

from typing import TYPE_CHECKING

from sweeper.tracking import tags
from sweeper.tracking.store import MLflowStore, refusals, set_end_reason

if TYPE_CHECKING:
    from mlflow.entities import Run


class StudyPage:
    """What the page of a study needs beyond the operations of a single run."""

    def __init__(self, store: MLflowStore) -> None:
        self._client = store.client

    def reopen(self, run_id: str) -> None:
        """Mark a run as running again."""
        with refusals():
            self._client.update_run(run_id, status="RUNNING")

    def runs_of_trials(self, parent_id: str) -> "dict[int, Run]":
        """Return the runs below a parent run by the number of their trial."""
        experiment = self._client.get_run(parent_id).info.experiment_id
        found: dict[int, Run] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment], f"tags.`{tags.PARENT}` = '{parent_id}'", page_token=token
            )
            found |= {int(run.data.tags[tags.TRIAL]): run for run in page}
            token = page.token
            if not token:
                return found

    def correct_end(self, run_id: str, status: str, reason: str) -> None:
        """Give a run the status that its trial has, whatever was recorded of it."""
        with refusals():
            set_end_reason(self._client, run_id, reason)
            self._client.set_terminated(run_id, status)
