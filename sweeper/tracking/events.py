"""What TensorBoard's event files hold, and the graph of a network among it."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from sweeper.text import in_one_line

log = logging.getLogger(__name__)

OUTDATED = (r"`torch\.jit\.trace", r"The input to trace is already a ScriptModule")
"""What torch says of the tracing that TensorBoard's graphs are made by."""


def event_writer(folder: Path) -> Any:
    """Return a SummaryWriter, whose types are wide of what it does, for a file in `folder`."""
    # Purged from 0: a TensorBoard that is watching drops what it read of files replaced.
    return SummaryWriter(folder, purge_step=0)


def event_files(folder: Path) -> list[Path]:
    """Return the event files in a folder, oldest first."""
    return sorted(folder.glob("events.out.tfevents.*"))


def events_of(folder: Path, history: Sequence[Mapping[str, float]]) -> Iterator[Any]:
    """Yield the events that belong to the epochs of `history`, which a checkpoint stands for.

    Left out are later epochs, which are trained again; the outcome of a run that had ended and
    now trains on; and what a run writes at its start (step 0).
    """
    for path in event_files(folder):
        for event in LegacyEventFileLoader(str(path)).Load():
            if 1 <= event.step <= len(history) and _lasts(event, history[event.step - 1]):
                yield event


def _lasts(event: Any, metrics: Mapping[str, float]) -> bool:
    values = event.summary.value
    return bool(values) and not any(
        value.HasField("simple_value") and value.tag not in metrics for value in values
    )


def write_graph(writer: Any, model: nn.Module, images: Tensor) -> None:
    """Trace the model in one batch of images and write its graph; warn where that cannot be."""
    with warnings.catch_warnings():
        for message in OUTDATED:
            warnings.filterwarnings("ignore", message)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        try:
            # Not left to add_graph, which prints what goes wrong.
            traced = torch.jit.trace(model, images, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            writer.add_graph(traced, images)
        except (RuntimeError, TypeError, ValueError) as error:
            log.warning("tracking: no graph of this network: %s", in_one_line(error))
    writer.flush()
