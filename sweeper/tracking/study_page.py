"""The runs of a study in MLflow: a parent run, and a child run for each trial."""

from typing import TYPE_CHECKING

from sweeper.tracking import tags
from sweeper.tracking.store import MLflowStore, set_end_reason, translating_refusals

if TYPE_CHECKING:
    from mlflow.entities import Run


class StudyPage:
    """The operations on the runs of a study that a single run does not need."""

    def __init__(self, store: MLflowStore) -> None:
        self._client = store.client

    def reopen(self, run_id: str) -> None:
        """Mark a run as running again."""
        with translating_refusals():
            self._client.update_run(run_id, status="RUNNING")

    def runs_of_trials(self, parent_id: str) -> "dict[int, Run]":
        """Return the child runs of a parent run; the keys are trial numbers."""
        experiment_id = self._client.get_run(parent_id).info.experiment_id
        runs: dict[int, Run] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment_id], f"tags.`{tags.PARENT}` = '{parent_id}'", page_token=token
            )
            runs |= {int(run.data.tags[tags.TRIAL]): run for run in page}
            token = page.token
            if not token:
                return runs

    def set_status(self, run_id: str, status: str, reason: str) -> None:
        """End a run with the status of its trial, even if it has ended with another status."""
        with translating_refusals():
            set_end_reason(self._client, run_id, reason)
            self._client.set_terminated(run_id, status)
