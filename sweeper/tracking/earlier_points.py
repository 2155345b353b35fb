"""What the earlier attempts at a run have logged: no value is logged twice, and steps go on."""

import sys
from typing import TYPE_CHECKING

from sweeper.tracking.system_metrics import PREFIX

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric


def stored_text(value: float) -> str:
    """Return a text of a metric's value that stays the same when MLflow stores the value.

    It has the largest number in place of infinity. NaN equals nothing, but its text does.
    """
    largest = sys.float_info.max
    return str(max(min(value, largest), -largest))


class EarlierPoints:
    """The steps and values that a run had before a delivery that did not create it.

    Those of a metric are read when it is logged for the first time. System metrics are measured
    anew by each attempt, so none of them is repeated.
    """

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.run_id = run_id
        self._client = client
        self._points: dict[str, set[tuple[int, str]]] = {}

    def __contains__(self, metric: "Metric") -> bool:
        """Return whether this value was logged at this step."""
        if metric.key.startswith(PREFIX):
            return False
        return (metric.step, stored_text(metric.value)) in self._of(metric.key)

    def _of(self, name: str) -> set[tuple[int, str]]:
        if name not in self._points:
            history = self._client.get_metric_history(self.run_id, name)
            self._points[name] = {(point.step, stored_text(point.value)) for point in history}
        return self._points[name]


class SystemSteps:
    """The steps of the system metrics, which each attempt at a run counts from 0."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._first: dict[tuple[str, int], int] = {}

    def first(self, run_id: str, name: str, started: int) -> int:
        """Return the first step of an attempt: the one that follows those of earlier attempts.

        They are told apart by time, so the answer is the same when it is asked for again.

        name: a system metric; all of them are measured together.
        started: when the attempt started, in milliseconds since 1970.
        """
        if (run_id, started) not in self._first:
            history = self._client.get_metric_history(run_id, name)
            earlier = (point.step for point in history if point.timestamp < started)
            self._first[run_id, started] = max(earlier, default=-1) + 1
        return self._first[run_id, started]
