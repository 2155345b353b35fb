"""Milliseconds per trial of a task that does nothing: sweeper and the official Optuna sweeper.

    python benchmarks/sweep_overhead.py --official PYTHON [--trials 100] [--json FILE]

PYTHON is the interpreter of an environment with hydra-optuna-sweeper and `sqlalchemy<2` (the
plugin's Optuna 2.10 cannot use a newer one). Both run one worker with TPE and a storage on disk:
sweeper a journal file, the official plugin SQLite. The time of a trial is the time from its start
to the start of the next one, as the storage records them. The start of the process is excluded.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

APP = Path(__file__).parent / "noop" / "app.py"
SPACE = ["x=interval(-3,3)", "y=range(0,5)"]


def run(python: str, folder: Path, overrides: list[str]) -> None:
    """Run a multirun of the task in `folder`."""
    command = [python, str(APP), "--multirun", *overrides, *SPACE]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def official_starts(python: str, folder: Path, trials: int) -> list[datetime]:
    """Run a study with the official plugin; return the start times of its trials."""
    keys = {"n_trials": trials, "n_jobs": 1, "storage": "sqlite:///o.db", "study_name": "o"}
    run(
        python,
        folder,
        ["hydra/sweeper=optuna", *(f"hydra.sweeper.{k}={v}" for k, v in keys.items())],
    )
    with sqlite3.connect(folder / "o.db") as database:
        rows = database.execute("select datetime_start from trials order by number").fetchall()
    return [datetime.fromisoformat(row[0]) for row in rows]


def sweeper_starts(folder: Path, trials: int, *overrides: str) -> list[datetime]:
    """Run a study with this sweeper; return the start times of its trials."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    keys = {"n_trials": trials, "n_jobs": 1, "study_name": "o"}
    settings = [f"hydra.sweeper.{k}={v}" for k, v in keys.items()]
    run(sys.executable, folder, ["hydra/sweeper=sweeper", *settings, *overrides])
    backend = JournalFileBackend(str(folder / "multirun/o/journal.log"))
    study = optuna.load_study(study_name="o", storage=JournalStorage(backend))
    return [t.datetime_start for t in study.trials if t.datetime_start is not None]


def median_ms(starts: list[datetime]) -> float:
    """Return the median time from one start to the next in milliseconds."""
    gaps = [(b - a).total_seconds() for a, b in zip(starts, starts[1:], strict=False)]
    return 1000 * statistics.median(gaps)


def main() -> None:
    """Print the times and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", help="python of an environment with hydra-optuna-sweeper")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {}
    launchers = {"basic": ["hydra/launcher=basic"], "local": ["hydra/launcher=local"]}
    for name, overrides in launchers.items():
        with tempfile.TemporaryDirectory() as folder:
            results[f"sweeper, {name}"] = median_ms(
                sweeper_starts(Path(folder), args.trials, *overrides)
            )
    if args.official:
        with tempfile.TemporaryDirectory() as folder:
            results["official, sqlite"] = median_ms(
                official_starts(args.official, Path(folder), args.trials)
            )
    for name, milliseconds in results.items():
        print(f"{name:20} {milliseconds:8.1f} ms per trial")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
