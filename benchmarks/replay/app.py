"""A task that replays a recorded learning curve instead of training. It can be paused and resumed.

It logs each part of an epoch in `progress.jsonl`, in the folder of its trial.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from simulation.nearest import nearest

from sweeper import trial


def replay(curve: dict[str, Any], scale: float, done: float) -> float:
    """Report the values of a curve from `done` epochs on; return the best value at a whole epoch.

    A value is reported at the end of each epoch, and where the study wants one within it.
    """
    at, info = curve["at"], trial.info()
    folder = info.folder if info else Path.cwd()
    while done < at[-1]:
        position = next_position(at, done)
        before, now = at.index(done) if done else None, at.index(position)
        seconds = curve["clock"][now] - (0.0 if before is None else curve["clock"][before])
        time.sleep(scale * (seconds + curve["look"]))
        line = {"time": time.time(), "from": done, "to": position, "value": curve["val"][now]}
        trial.report(curve["val"][now], position, at[-1])
        with (folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"index": curve["index"]}) + "\n")
        done = position
        if trial.should_stop():
            break
    ends = [look for look, position in enumerate(at) if position.is_integer() and position <= done]
    return max((curve["val"][look] for look in ends), default=math.nan)


def next_position(at: list[float], done: float) -> float:
    """Return the end of the epoch, or the study's next rung if that is earlier and was recorded."""
    end = math.floor(done) + 1.0
    rung = trial.next_rung(done, at[-1])
    if rung is None or rung >= end:
        return end
    return min((position for position in at if position > done), key=lambda p: abs(p - rung))


def resumed_from() -> float:
    """Return the number of epochs that an earlier attempt at this trial has done."""
    info = trial.info()
    path = info.resume_folder / "progress.jsonl" if info and info.resume_folder else None
    if path is None or not path.exists():
        return 0.0
    return float(json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["to"])


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    table = json.loads(Path(cfg.table).read_text(encoding="utf-8"))
    index = nearest(table["points"], dict(cfg.point)) if cfg.index is None else int(cfg.index)
    curve = {key: table[key][index] for key in ("val", "clock", "look", "start")}
    time.sleep(cfg.scale * curve["start"])
    return replay(curve | {"at": table["at"], "index": index}, cfg.scale, resumed_from())


if __name__ == "__main__":
    main()
