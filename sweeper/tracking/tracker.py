"""The protocol of a tracker, and the data that a run passes to it.

No call waits for a server, except `finish`, which may wait for a limited time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor, nn

Status = Literal["FINISHED", "FAILED", "KILLED"]
# JSON and every database hold such an integer without a loss.
Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]
Step = Annotated[int, Field(ge=-(2**53), lt=2**53)]


@dataclass(frozen=True)
class DatasetInfo:
    """The data set of a run. `profile` is a JSON text, such as the sizes of the splits."""

    name: str
    digest: str
    source: str
    profile: str = "{}"


@dataclass(frozen=True)
class Resumed:
    """The run that another run resumes: its folder, and the metrics of each finished epoch.

    The other run takes over what this one has recorded up to there, but for the test scores: its
    own come at its end.
    """

    folder: Path
    history: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class RunInfo:
    """The description of a run when it starts.

    experiment: the name of the experiment, such as the name of the data set.
    name: the name of the run, or None for one that the tracking server makes up.
    run_id: the tracker's id of the run that this one continues, or None.
    folder: the folder of the run.
    resumed: the run that this one resumes, or None.
    """

    experiment: str
    name: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: DatasetInfo | None = None
    run_id: str | None = None
    folder: Path = Path()
    resumed: Resumed | None = None


@dataclass(frozen=True)
class TrialEnd:
    """How a trial of a study ended, and what to record of it if its own run recorded nothing.

    metrics: the values of the study's objectives.
    began, ended: milliseconds since 1970, or None if they are not known.
    state: `complete`, `pruned` or `paused`; empty if the trial failed.
    curve: the metric after each step, by its name; nothing if the study does not know it.
    """

    number: int
    status: Status
    reason: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    began: Milliseconds | None = None
    ended: Milliseconds | None = None
    state: str = ""
    curve: Mapping[str, Mapping[Step, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ServedModel:
    """A network as others use it.

    network: a module on the CPU that takes images like the examples, in any number.
    images: examples, (2, C, H, W) uint8.
    description: the meaning of input and output, and the names of the classes, as JSON.
    """

    network: "nn.Module"
    images: "Tensor"
    description: Mapping[str, Any]


BuildModel = Callable[[], ServedModel]
"""A function that builds a network. It can be pickled, so another process may call it."""


class Tracker(Protocol):
    """A recorder for one run at a time, from `start` to `finish`."""

    @property
    def uri(self) -> str | None:
        """The address of the tracking server or database, or None if there is none."""
        ...

    @property
    def run_id(self) -> str | None:
        """The tracker's id of the run, or None if there is none.

        While the tracking server does not have the run, this may be a key of the tracker's own.
        `RunInfo.run_id` takes both.
        """
        ...

    @property
    def page(self) -> str | None:
        """The address of the run's page, below that of `uri`; None while it is not known."""
        ...

    @property
    def wants_model(self) -> bool:
        """True if the best network of this run is to be recorded with `log_model`."""
        ...

    def start(self, info: RunInfo) -> None:
        """Begin a run.

        Raises:
            ConfigError: the records cannot be written.
        """
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of one step."""
        ...

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a file as it is now, under `folder` among the run's artifacts.

        A tracker that shows pictures by step uses `step`, or the last step with metrics if it is
        None.
        """
        ...

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record a histogram of each layer's values.

        name: the kind of the values, such as "weights" or "gradients".
        values: arrays of any shape; the keys are layer names.
        """
        ...

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Record the network's graph.

        model: a copy of the network, which may be traced.
        images: (N, C, H, W), in the dtype that the model takes.
        """
        ...

    def begin_model(self, build: BuildModel) -> None:
        """Begin what `log_model` will do with this network, if another process does it."""
        ...

    def log_model(self, build: BuildModel, metrics: Mapping[str, float], step: int) -> None:
        """Record a network that others can load and serve, or say in one line why it cannot be.

        metrics: those of the network, which the run has logged.
        step: the epoch of the network.

        Raises:
            OSError: the record cannot be stored, such as on a full disk.
        """
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; they replace tags of the same name."""
        ...

    def finish(self, status: Status, reason: str = "") -> None:
        """End the run; `reason` says why it ended with this status."""
        ...


class NullTracker:
    """A tracker that records nothing."""

    uri: str | None = None
    run_id: str | None = None
    page: str | None = None
    wants_model: bool = False

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

    def begin_model(self, build: BuildModel) -> None:
        """Do nothing."""

    def log_model(self, build: BuildModel, metrics: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def finish(self, status: Status, reason: str = "") -> None:
        """Do nothing."""
