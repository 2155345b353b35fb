"""Wall time of trials of 1 s and 10 s on two workers: sweeper, the official plugin, the ideal.

    python benchmarks/mixed_lengths.py [--official PYTHON] [--json FILE]

Ten trials of each length form a grid. The official plugin, with the joblib launcher, runs them in
batches of two and waits for the slower trial of each batch. The ideal is half of the summed
lengths. The measured times include the start of the processes. `busy` is the fraction of the two
workers' time spent in trials, between the start of the first trial and that of the last one, while
there was work for both.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

APP = Path(__file__).parent / "noop" / "app.py"
SPACE = ["y=0,1,2,3,4,5,6,7,8,9", "seconds=1,10"]
IDEAL_SECONDS = 10 * (1 + 10) / 2
OURS = [
    "hydra/sweeper=sweeper",
    "hydra/launcher=local",
    "hydra.sweeper.n_jobs=2",
    "hydra.sweeper.study_name=s",
]
OFFICIAL = [
    "hydra/sweeper=optuna",
    "hydra/sweeper/sampler=grid",
    "hydra/launcher=joblib",
    "hydra.sweeper.n_jobs=2",
    "hydra.sweeper.n_trials=20",
]


def seconds(python: str, folder: Path, overrides: list[str]) -> float:
    """Return the wall time of a multirun in seconds."""
    start = time.monotonic()
    command = [python, str(APP), "--multirun", *overrides, *SPACE]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def busy(folder: Path) -> float:
    """Return the fraction of the workers' time that was spent in trials."""
    backend = JournalFileBackend(str(folder / "multirun" / "s" / "journal.log"))
    trials = optuna.load_study(study_name="s", storage=JournalStorage(backend)).trials
    spans = [(t.datetime_start, t.datetime_complete) for t in trials]
    first, last = min(start for start, _ in spans), max(start for start, _ in spans)
    busy_seconds = sum(max(0.0, (min(end, last) - start).total_seconds()) for start, end in spans)
    return busy_seconds / (2 * (last - first).total_seconds())


def main() -> None:
    """Print the times and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", help="python with hydra-optuna-sweeper and joblib launcher")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {"ideal, seconds": IDEAL_SECONDS}
    with tempfile.TemporaryDirectory() as folder:
        results["sweeper, local, seconds"] = seconds(sys.executable, Path(folder), OURS)
        results["sweeper, local, busy"] = busy(Path(folder))
    if args.official:
        with tempfile.TemporaryDirectory() as folder:
            results["official, joblib, seconds"] = seconds(args.official, Path(folder), OFFICIAL)
    for name, value in results.items():
        print(f"{name:28} {value:8.3f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
