"""A tracker that passes each call on to several trackers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from sweeper.tracking.mlflow import MLflowTracker, WantsModel
from sweeper.tracking.tensorboard import TensorBoardTracker
from sweeper.tracking.tracker import BuildModel, RunInfo, Status, Tracker

if TYPE_CHECKING:
    from torch import Tensor, nn


class SeveralTrackers:
    """Several trackers as one; `uri` and `run_id` are those of the first tracker."""

    def __init__(self, first: Tracker, *others: Tracker) -> None:
        self._first = first
        self._trackers = (first, *others)

    @property
    def uri(self) -> str | None:
        return self._first.uri

    @property
    def run_id(self) -> str | None:
        return self._first.run_id

    @property
    def page(self) -> str | None:
        return self._first.page

    @property
    def wants_model(self) -> bool:
        return any(tracker.wants_model for tracker in self._trackers)

    def start(self, info: RunInfo) -> None:
        for tracker in self._trackers:
            tracker.start(info)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        for tracker in self._trackers:
            tracker.log_metrics(metrics, step)

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        for tracker in self._trackers:
            tracker.log_artifact(path, folder, step)

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        for tracker in self._trackers:
            tracker.log_histograms(name, values, step)

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        for tracker in self._trackers:
            tracker.log_graph(model, images)

    def begin_model(self, build: BuildModel) -> None:
        for tracker in self._trackers:
            if tracker.wants_model:
                tracker.begin_model(build)

    def log_model(self, build: BuildModel, metrics: Mapping[str, float], step: int) -> None:
        for tracker in self._trackers:
            if tracker.wants_model:
                tracker.log_model(build, metrics, step)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        for tracker in self._trackers:
            tracker.set_tags(tags)

    def finish(self, status: Status, reason: str = "") -> None:
        # In reverse order: the first tracker is MLflow's, which may wait for its server.
        for tracker in reversed(self._trackers):
            tracker.finish(status, reason)


def mlflow_and_tensorboard(
    uri: str | None = None,
    experiment: str | None = None,
    flush_seconds: NonNegativeFloat = 30.0,
    folder: Path = Path(),
    model: WantsModel = "auto",
    register: str | None = None,
    system_metrics: bool = False,
) -> SeveralTrackers:
    """Return a tracker for MLflow and TensorBoard; see `MLflowTracker` for the arguments.

    Raises:
        ConfigError: MLflow cannot use the URI, or `tensorboard` is not installed.
    """
    mlflow = MLflowTracker(uri, experiment, flush_seconds, folder, model, register, system_metrics)
    return SeveralTrackers(mlflow, TensorBoardTracker())
