"""`kill -9` at random times: trials at the end, duplicates, and epochs that were run twice.

    python benchmarks/kill_storm.py [--trials 40] [--kills 30] [--step-seconds 0.1] [--seed 0]
                                    [--pruner promotion]

Four local workers run trials of ten short epochs. A random worker, the parent process or all of
them are killed, again and again. After the parent was killed, the same command is run again.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sweeper.sweep.curve import is_paused, was_promoted

APP = Path(__file__).parent / "steps" / "app.py"
SPACE = ["x=interval(-3,3)"]
KEYS = {"study_name": "storm", "n_jobs": 4, "max_retries": 30}


class Storm:
    """A study whose processes are killed at random times."""

    def __init__(
        self, folder: Path, trials: int, step_seconds: float, seed: int, pruner: str
    ) -> None:
        self._folder, self._random = folder, random.Random(seed)
        settings = [f"hydra.sweeper.{k}={v}" for k, v in {**KEYS, "n_trials": trials}.items()]
        sweeper = ["hydra/sweeper=sweeper", "hydra/launcher=local", "hydra/sweeper/sampler=random"]
        self._command = [sys.executable, str(APP), "-m", *sweeper, *settings, *SPACE]
        self._command += [f"step_seconds={step_seconds}", f"hydra/sweeper/pruner={pruner}"]
        self.kills: Counter[str] = Counter()

    def run(self, n_kills: int) -> int:
        """Run the study with `n_kills` kills; return how many times the command was run."""
        starts, process = 1, self._start()
        while process.poll() is None or process.returncode != 0:
            if process.poll() is not None:
                starts, process = starts + 1, self._start()
            time.sleep(self._random.uniform(0.2, 1.2))
            if self.kills.total() < n_kills:
                self._kill(process)
        return starts

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, cwd=self._folder, stdout=subprocess.DEVNULL)

    def _kill(self, parent: "subprocess.Popen[bytes]") -> None:
        workers = [w for server in children(parent.pid) for w in children(server)]
        victim = self._random.choice(["worker"] * 3 + ["parent", "all"])
        if parent.poll() is not None or (victim == "worker" and not workers):
            return
        pids = [self._random.choice(workers)] if victim == "worker" else [parent.pid]
        for pid in [parent.pid, *workers] if victim == "all" else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills[victim] += 1


def children(pid: int) -> list[int]:
    """Return the processes that `pid` started."""
    with suppress(FileNotFoundError, ProcessLookupError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(c) for t in tasks for c in (t / "children").read_text().split()]
    return []


def summarize(folder: Path) -> dict[str, Any]:
    """Return counts of the trials and epochs of the study in `folder`."""
    backend = JournalFileBackend(str(folder / "journal.log"))
    trials = optuna.load_study(study_name="storm", storage=JournalStorage(backend)).trials
    logs = [folder / str(t.number) / "steps.log" for t in trials]
    epochs = [log.read_text().split() if log.exists() else [] for log in logs]
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    return {
        "states": Counter("PAUSED" if is_paused(t) else t.state.name for t in trials),
        "trials promoted": sum(map(was_promoted, trials)),
        "numbers without gaps": [t.number for t in trials] == list(range(len(trials))),
        "duplicates": len(trials) - len({json.dumps(t.params) for t in trials}),
        "unfinished attempts": sum(t.system_attrs["sweeper:lease"]["cuts"] for t in trials),
        "epochs run": sum(map(len, epochs)),
        "epochs run twice": sum(len(e) - len(set(e)) for e in epochs),
        "complete trials that miss a value": sum(
            len(t.intermediate_values) != 10 for t in complete
        ),
    }


def main() -> None:
    """Print the counts and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--step-seconds", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pruner", default="none", choices=["none", "promotion"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder), args.trials, args.step_seconds, args.seed, args.pruner)
        starts = storm.run(args.kills)
        summary = summarize(Path(folder) / "multirun" / "storm")
    results = {"kills": storm.kills, "commands run": starts, **summary}
    results["seconds"] = round(time.monotonic() - start, 1)
    for name, value in results.items():
        print(f"{name:34} {dict(value) if isinstance(value, Counter) else value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
