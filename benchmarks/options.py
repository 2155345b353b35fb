"""Every option of a group in its own run: seconds of the command and test accuracy.

    python benchmarks/options.py loss
    python benchmarks/options.py model trainer.epochs=3
    python benchmarks/options.py optimizer data=mnist data.root=data trainer.epochs=1

Each run is a command as a user types it. Tracking is off unless `tracking` is the group.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeper.configs import CONFIGS

STRINGS = ["data=digit_strings", "model=crnn", "loss=ctc"]
REQUIRED = {"ctc": STRINGS, "crnn": STRINGS}
"""Overrides that an option needs. The accuracy of these is that of whole strings."""


def run(overrides: list[str], folder: Path) -> dict[str, object]:
    """Run one command; return its wall time, and its test accuracy or error message."""
    command = [sys.executable, "-m", "sweeper", *overrides, f"hydra.run.dir={folder}"]
    started = time.perf_counter()
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = round(time.perf_counter() - started, 1)
    if completed.returncode:
        return {"seconds": seconds, "error": completed.stderr.strip().splitlines()[-1]}
    summary = completed.stdout.strip().splitlines()
    test = next(line for line in summary if line.startswith("test ") and "loss" not in line)
    return {"seconds": seconds, "test_accuracy": float(test.split()[-1])}


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("group")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--only", nargs="*", help="run these options only")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "options.json")
    arguments = parser.parse_args()
    options = arguments.only or sorted(p.stem for p in (CONFIGS / arguments.group).glob("*.yaml"))
    rows = []
    print(f"{arguments.group:<24}{'seconds':>9}{'test accuracy':>15}", flush=True)
    for option in options:
        with tempfile.TemporaryDirectory() as folder:
            quiet = ["figures=false", *arguments.overrides]
            quiet += ["tracking=none"] if arguments.group != "tracking" else []
            choice = [*REQUIRED.get(option, []), f"{arguments.group}={option}"]
            row = run([*quiet, *dict.fromkeys(choice)], Path(folder) / "run")
        rows.append({arguments.group: option, **row})
        print(
            f"{option:<24}{row['seconds']:>9}{row.get('test_accuracy', row.get('error')):>15}",
            flush=True,
        )
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
