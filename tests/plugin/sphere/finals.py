"""What follows a search: `hydra.sweeper.conclude=finals.note` writes a line for each call."""

import logging
import os
import signal
import time
from pathlib import Path

log = logging.getLogger(__name__)


def note(cfg, trial):
    diary = Path.cwd() / "concluded.txt"
    with diary.open("a") as file:
        file.write(f"trial {trial.number} x={cfg.x} in {trial.folder.name}\n")
    if (kill := Path.cwd() / "kill").exists():
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while Path("wait").exists():  # a signal does not end it
        time.sleep(0.05)
    log.warning("the winner has\n%d name", 1)
    if Path("broken").exists():
        raise ValueError("the file is broken")
    return {"test/loss": cfg.x}
