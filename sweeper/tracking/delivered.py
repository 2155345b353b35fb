"""How much of an outbox is delivered, and what is put off, as its `delivered.json` tells."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from sweeper.files import write_text
from sweeper.tracking import damaged

log = logging.getLogger(__name__)
_DELIVERED = "delivered.json"


@dataclass(frozen=True)
class Progress:
    """The progress of a delivery.

    position: the number of bytes of `records.jsonl` that are delivered, but for what is put off.
    run_id: the server's id of the run.
    finished: true when the end of the run is delivered.
    put_off: where the records begin that are put off, in bytes.
    """

    position: Annotated[int, Field(ge=0)] = 0
    run_id: str | None = None
    finished: bool = False
    put_off: tuple[int, ...] = ()


_PROGRESS = TypeAdapter(Progress)


def read_progress(outbox: Path) -> Progress:
    """Return the progress of earlier deliveries of the outbox in this folder."""
    try:
        content = (outbox / _DELIVERED).read_bytes()
        if not content.strip():  # emptied by a power cut
            return Progress()
        progress = _PROGRESS.validate_json(content, strict=True)
        # All records but the start need the run's id.
        is_usable = bool(progress.run_id) or progress.position == 0
        return progress if is_usable else without_progress(outbox)
    except FileNotFoundError:  # not written yet
        return Progress()
    except (IsADirectoryError, ValidationError):
        return without_progress(outbox)


def write_progress(outbox: Path, progress: Progress) -> None:
    """Save the progress of the outbox in this folder."""
    write_text(outbox / _DELIVERED, json.dumps(asdict(progress)))


def without_progress(outbox: Path) -> Progress:
    """Set `delivered.json` aside. All records are then delivered again, which does no harm."""
    path = outbox / _DELIVERED
    place = damaged.move_aside(path, damaged.place_of(outbox) / _DELIVERED)
    log.warning("tracking: %s is damaged; it is set aside as %s", path, place)
    return Progress()
