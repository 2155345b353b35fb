"""Trials of 1 s and 10 s mixed, two workers: wall time here, with the official plugin, and at best.

    python benchmarks/mixed_lengths.py [--official PYTHON] [--json FILE]

Ten trials of each length, alternating, as a finite space (the official plugin, with the joblib
launcher, runs them in batches of two and waits for the slower one of each). The ideal is half of
the summed lengths; both figures have the process start-up in them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = Path(__file__).parent / "noop" / "app.py"
SPACE = ["y=range(0,10)", "seconds=1,10"]
IDEAL_SECONDS = 10 * (1 + 10) / 2
OURS = ["hydra/sweeper=sweeper", "hydra/launcher=local", "hydra.sweeper.n_jobs=2"]
OFFICIAL = [
    "hydra/sweeper=optuna",
    "hydra/sweeper/sampler=random",
    "hydra/launcher=joblib",
    "hydra.sweeper.n_jobs=2",
    "hydra.sweeper.n_trials=20",
]


def seconds(python: str, overrides: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        command = [python, str(APP), "--multirun", *overrides, *SPACE]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", help="python with hydra-optuna-sweeper and joblib launcher")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {"ideal": IDEAL_SECONDS, "sweeper, local": seconds(sys.executable, OURS)}
    if args.official:
        results["official, joblib (random lengths)"] = seconds(args.official, OFFICIAL)
    for name, value in results.items():
        print(f"{name:36} {value:6.1f} s   workers busy {IDEAL_SECONDS / value:5.1%}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
