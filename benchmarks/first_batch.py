"""A callback that appends its process and the time before the first batch of a run to a file."""

import os
import time
from pathlib import Path

from sweeper.training.callback import Callback
from sweeper.training.state import RunState


class Mark(Callback):
    """Append a line to `path` before the first epoch of each run."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_fit_start(self, state: RunState) -> None:
        with Path(self.path).open("a") as file:
            file.write(f"{os.getpid()} {time.time()}\n")
