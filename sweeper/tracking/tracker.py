"""What a run tells its tracker. Every call returns at once, whatever the server does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class DatasetInfo:
    """The data of a run; `profile` is a JSON text such as the sizes of the splits."""

    name: str
    digest: str
    source: str
    profile: str = "{}"


@dataclass(frozen=True)
class Resumed:
    """The run that another goes on from: its folder, and the metrics of its finished epochs."""

    folder: Path
    history: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run before it trains.

    `folder` is the run's own; `run_id` names the tracked run that it continues.
    """

    experiment: str
    name: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: DatasetInfo | None = None
    run_id: str | None = None
    folder: Path = Path()
    resumed: Resumed | None = None


class Tracker(Protocol):
    """Records one run at a time, from `start` to `finish`."""

    @property
    def uri(self) -> str | None:
        """Where the run is recorded."""
        ...

    @property
    def run_id(self) -> str | None:
        """The tracking server's name for the run, once the server has it."""
        ...

    def start(self, info: RunInfo) -> None:
        """Begin a run."""
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record values that belong to one step."""
        ...

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a file as it is now, under `folder` among the run's artifacts.

        Where pictures have steps, it is of `step`, or else of the last one with metrics.
        """
        ...

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record how the values of each layer are distributed; `name` says what they are."""
        ...

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Record the network's graph; `model` is a copy to trace with `images` (N, C, H, W)."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over those of the same name."""
        ...

    def finish(self, status: Status, reason: str = "") -> None:
        """End the run; `reason` says why it ended as it did."""
        ...


class NullTracker:
    """Records nothing."""

    uri: str | None = None
    run_id: str | None = None

    def start(self, info: RunInfo) -> None:
        """Do nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Do nothing."""

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Do nothing."""

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Do nothing."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def finish(self, status: Status, reason: str = "") -> None:
        """Do nothing."""
