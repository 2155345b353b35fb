"""The values that the earlier attempts at a run have logged, so that none is logged twice."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric


class EarlierPoints:
    """The steps and values that a run has when a later attempt at it begins.

    They are read when they are needed. For an attempt that repeats no epoch, one request is enough.
    """

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.run_id = run_id
        self._client = client
        self._points: dict[str, set[tuple[int, str]]] = {}
        self._last_step: int | None = None

    def __contains__(self, metric: "Metric") -> bool:
        """Return whether this value was logged at this step."""
        if self._last_step is None:
            self._last_step = max((step for step, _ in self._of(metric.key)), default=-1)
        is_new = metric.step > self._last_step
        return not is_new and (metric.step, str(metric.value)) in self._of(metric.key)

    def _of(self, name: str) -> set[tuple[int, str]]:
        if name not in self._points:
            history = self._client.get_metric_history(self.run_id, name)
            self._points[name] = {(point.step, str(point.value)) for point in history}
        return self._points[name]
