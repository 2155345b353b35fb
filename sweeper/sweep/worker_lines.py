"""The lines that Hydra's launchers print, which speak of jobs where a study has workers."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def naming_workers(study: str) -> Iterator[None]:
    """Make the lines that Hydra's launchers print for their jobs say that these are workers."""
    factory = logging.getLogRecordFactory()

    def renamed(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        if record.name.startswith(("hydra.", "hydra_plugins.")):
            worker = f"worker of study {study}"
            text = re.sub(r"(?s)^(\s*#\d+ :).*", lambda m: f"{m[1]} {worker}", record.getMessage())
            text = re.sub(r"(?i)(launching.*? 1 )jobs?\b", r"\1worker", text)
            record.msg = re.sub(r"(?i)(launching.*?\d+ )jobs?\b", r"\1workers", text)
            record.args = ()
        return record

    # Not a filter of the handlers: launchers configure the logging anew.
    logging.setLogRecordFactory(renamed)
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
