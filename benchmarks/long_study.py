"""Milliseconds per trial at the beginning and at the end of a long study, and its files.

    python benchmarks/long_study.py [--trials 2000] [--jobs 2] [--override KEY=VALUE] [--json FILE]

The task does nothing, so that the time is sweeper's and the sampler's. The time of a trial is that
from its start to the start of the worker's next one, as the storage records them. The CPU time is
that of all processes, and hardly depends on what else the machine does. With
`--override hydra.output_subdir=null`, Hydra writes no files of its own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from sweeper.sweep.lease import Lease
from sweeper.sweep.storage import open_storage

APP = Path(__file__).parent / "noop" / "app.py"
PART = 100


def run(folder: Path, trials: int, jobs: int, overrides: Sequence[str]) -> list[FrozenTrial]:
    """Run a study in `folder`; return its trials."""
    keys = {"n_trials": trials, "n_jobs": jobs, "study_name": "o"}
    command = [
        *(sys.executable, str(APP), "--multirun", "x=interval(-3,3)", "y=range(0,5)"),
        *("hydra/sweeper=sweeper", "hydra/launcher=local", *overrides),
        *(f"hydra.sweeper.{key}={value}" for key, value in keys.items()),
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    storage = open_storage(None, folder / "multirun" / "o")
    return optuna.load_study(study_name="o", storage=storage).trials


def trial_times_ms(trials: Sequence[FrozenTrial]) -> list[float]:
    """Return the time of each trial but the last one of each worker, in the trials' order."""
    starts = defaultdict(list)
    for trial in trials:
        lease = Lease.read(trial.system_attrs)
        if lease is not None and trial.datetime_start is not None:
            starts[lease.pid].append((trial.number, trial.datetime_start))
    times = {
        number: 1000 * (later - start).total_seconds()
        for of_worker in starts.values()
        for (number, start), (_, later) in zip(of_worker, of_worker[1:], strict=False)
    }
    return [times[number] for number in sorted(times)]


def main() -> None:
    """Print the times and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--override", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trials = run(folder, arguments.trials, arguments.jobs, arguments.override)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        paths = list((folder / "multirun").rglob("*"))
        n_files = sum(path.is_file() for path in paths)
    times = trial_times_ms(trials)
    results = {
        f"first {PART} trials, ms": statistics.median(times[:PART]),
        f"last {PART} trials, ms": statistics.median(times[-PART:]),
        "CPU a trial, ms": 1000 * (usage.ru_utime + usage.ru_stime) / len(trials),
        "files": n_files,
        "files and folders": len(paths),
        "failed trials": sum(t.state == optuna.trial.TrialState.FAIL for t in trials),
    }
    for key, value in results.items():
        print(f"{key:24} {value:10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
