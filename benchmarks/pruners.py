"""A study with each pruner: wall time, best value and number of pruned trials.

    python benchmarks/pruners.py [--root data] [--pruners none median asha hyperband]

`search=cnn` (kernel size, channels, batch size, learning rate) on 10,000 training and 2,000
validation images of MNIST, 20 trials of 5 epochs, with `hydra.sweeper.n_jobs=auto` workers.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml


def sweep(pruner: str, arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run a study from the command line; return its wall time and results."""
    command = [
        *(sys.executable, "-m", "sweeper", "--multirun", "search=cnn", "data=mnist"),
        *(f"data.root={Path(arguments.root).absolute()}", "trainer.epochs=5"),
        *("trainer.train_limit=10000", "trainer.val_limit=2000"),
        *(f"hydra/sweeper/pruner={pruner}", f"hydra.sweeper.n_trials={arguments.trials}"),
        *(f"seed={arguments.seed}", *arguments.override),
    ]
    started = time.perf_counter()
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds = round(time.perf_counter() - started, 1)
    results = next(folder.glob("multirun/*/optimization_results.yaml"))
    best = yaml.safe_load(results.read_text(encoding="utf-8"))["best_value"]
    pruned = re.search(r"(\d+) of them pruned", completed.stdout)
    return {
        "pruner": pruner,
        "seconds": seconds,
        "best_value": round(best, 4),
        "pruned": int(pruned[1]) if pruned else None,
    }


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", default="data", help="folder with torchvision's MNIST")
    parser.add_argument("--pruners", nargs="+", default=["none", "median", "asha", "hyperband"])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--override", nargs="*", default=[], help="further overrides")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "pruners.json")
    arguments = parser.parse_args()
    rows = []
    print(f"{'pruner':<12}{'seconds':>9}{'best value':>12}{'pruned':>8}", flush=True)
    for pruner in arguments.pruners:
        with tempfile.TemporaryDirectory() as folder:
            row = sweep(pruner, arguments, Path(folder))
        rows.append(row)
        cells = f"{row['seconds']:>9}{row['best_value']:>12}{row['pruned']:>8}"
        print(f"{pruner:<12}{cells}", flush=True)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
