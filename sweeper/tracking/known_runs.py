"""The runs that MLflow has already, found by their ids, keys and tags."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from sweeper.tracking import tags
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import is_refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.entities import PagedList

T = TypeVar("T")
_SEARCHABLE = re.compile(r"[\w. -]+")
"""What may be part of a query; the label of a trial with several seeds, `3 seed 1`, has spaces."""


class KnownRuns:
    """The active runs of an MLflow server or database, in all of its experiments."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._experiment_ids: list[str] | None = None

    def look_again(self) -> None:
        """Let the next search look into experiments that were created since the last one too."""
        self._experiment_ids = None

    def find(self, reference: str) -> "Run | None":
        """Return the run with this id or key, or None if there is none or it is deleted."""
        from mlflow.exceptions import MlflowException

        if "-" in reference:  # a key; ids have none
            return next(self.search({tags.OUTBOX: reference}), None)
        try:
            run = self._client.get_run(reference)
        except MlflowException as error:
            if not is_refusal(error):
                raise
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def find_study(self, reference: str) -> "Run | None":
        """Return the parent run with this id or key, or the one that was started in its place."""
        successors = self.search({tags.RESUMED_FROM: reference})
        return self.find(reference) or next(
            (run for run in successors if tags.is_study(run.data.tags)), None
        )

    def search(self, values: Mapping[str, str]) -> "Iterator[Run]":
        """Yield the runs of all experiments that have these tags, the newest first."""
        # Another observer may have given the study an id that cannot be part of a query.
        if all(_SEARCHABLE.fullmatch(value) for value in values.values()):
            query = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in values.items())
            ids = self._known_experiments()
            yield from _pages(lambda token: self._client.search_runs(ids, query, page_token=token))

    def newest(self, values: Mapping[str, str]) -> "Run | None":
        """Return the newest run of all experiments, also of new ones, with these tags, or None."""
        self.look_again()
        return next(self.search(values), None)

    def study_of(self, run_tags: Mapping[str, str]) -> "Run | None":
        """Return the run of the study that a trial belongs to, if it exists already."""
        link = tags.parent_and_trial(run_tags)
        return self.find_study(link[0]) if link else None

    def of_outbox(
        self, record: Record, key: str, params: Mapping[str, str], parent: "Run | None"
    ) -> "Run | None":
        """Return the run that an outbox started or continues, or None if there is none.

        record: the start record of the outbox, whose name is `key`.
        params: its params, as MLflow has them.
        parent: the run of its study, if there is one.
        """
        body = record.body
        if own := next(self.search({tags.OUTBOX: key}), None):
            return own
        is_study = tags.is_study(body["tags"])
        find = self.find_study if is_study else self.find
        run = find(body["run_id"]) if body["run_id"] else None
        run = run or self._earlier_attempt(body["tags"], parent)
        if run is None or is_study or tags.OUTBOX not in run.data.tags:
            return run
        # Params that one of them lacks are no difference: the first owner may have ended while it
        # delivered them, and an earlier version had others.
        same = all(params.get(name, value) == value for name, value in run.data.params.items())
        return run if same else None

    def _earlier_attempt(self, run_tags: Mapping[str, str], parent: "Run | None") -> "Run | None":
        """Return the run of another attempt at the same trial, or None."""
        link = tags.parent_and_trial(run_tags)
        if link is None:
            return None
        reference, number = link
        same = [{tags.STUDY_KEY: reference}]
        same += [{tags.PARENT: parent.info.run_id}] if parent else []
        found = (next(self.search(tag | {tags.TRIAL: number}), None) for tag in same)
        return next(filter(None, found), None)

    def _known_experiments(self) -> list[str]:
        """Return the ids of all experiments, as they were at the start of the operation."""
        if self._experiment_ids is None:
            experiments = _pages(lambda token: self._client.search_experiments(page_token=token))
            self._experiment_ids = [str(e.experiment_id) for e in experiments]
        return self._experiment_ids


def _pages(get: "Callable[[str | None], PagedList[T]]") -> Iterator[T]:
    """Yield the items of all pages; `get` returns the page of a token."""
    page = get(None)
    yield from page
    while page.token:
        page = get(page.token)
        yield from page
