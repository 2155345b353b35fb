"""TensorBoard's event files: writing them, reading them back, and the graph of a network."""

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from sweeper.objectives import TEST
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

FIGURES = "figures/"
"""The beginning of the tags of the pictures that a run draws at its end, also of the test split."""

TRACING_WARNINGS = (r"`torch\.jit\.trace", r"The input to trace is already a ScriptModule")
"""Beginnings of torch's warnings about tracing. TensorBoard's graphs need it nevertheless."""


def event_writer(folder: Path) -> Any:
    """Return a SummaryWriter for `folder`; the type is `Any` because its annotations are wrong."""
    # With purge_step=0 a running TensorBoard drops what it read from the files replaced here.
    return SummaryWriter(folder, purge_step=0)


def event_files(folder: Path) -> list[Path]:
    """Return the event files in a folder, oldest first."""
    return sorted(folder.glob("events.out.tfevents.*"))


def epoch_events(folder: Path, n_epochs: int) -> Iterator[Any]:
    """Yield the events of the first `n_epochs` epochs of a resumed run.

    Of step 0 they are the graph and the pictures. Three kinds of events are skipped: those of later
    epochs, which are trained again; what a run writes at its end, which are test metrics and
    figures; and the other ones of step 0, which each run writes at its start.
    """
    for path in event_files(folder):
        for event in LegacyEventFileLoader(str(path)).Load():
            if _is_of_the_end(event):
                continue
            if event.step == 0 and (event.HasField("graph_def") or _is_picture(event)):
                yield event
            if 1 <= event.step <= n_epochs and event.summary.value:
                yield event


def names(event: Any) -> set[tuple[str, int]]:
    """Return the tags of an event with its step; a graph has the tag `graph`."""
    tags = {"graph"} if event.HasField("graph_def") else {v.tag for v in event.summary.value}
    return {(tag, event.step) for tag in tags}


def _is_picture(event: Any) -> bool:
    values = event.summary.value
    return bool(values) and all(value.HasField("image") for value in values)


def _is_of_the_end(event: Any) -> bool:
    """Return whether a run writes one of the values at its end."""
    return any(value.tag.startswith((TEST, FIGURES)) for value in event.summary.value)


def write_graph(writer: Any, model: nn.Module, images: Tensor) -> None:
    """Trace the model and write its graph; log a warning if it cannot be traced.

    images: (N, C, H, W) in the dtype that the model takes.
    """
    with warnings.catch_warnings():
        for message in TRACING_WARNINGS:
            warnings.filterwarnings("ignore", message)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        try:
            # add_graph would trace as well, but it prints its errors.
            traced = torch.jit.trace(model, images, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            writer.add_graph(traced, images)
        except (RuntimeError, TypeError, ValueError) as error:
            log.warning("tracking: cannot trace the network for its graph: %s", in_one_line(error))
    writer.flush()
