"""The reference sweep R1: seconds and the winner's test accuracy, against Optuna and Ray Tune.

    python benchmarks/reference.py --root FOLDER [--seeds 0 1 2 3 4] [--retrain 100 101 102]

R1 searches learning rate, batch size, kernel size and channels of `cnn` on 10,000 MNIST images,
with 2,000 for validation: 20 trials of at most 5 epochs, recorded in MLflow. FOLDER holds MNIST as
torchvision reads it. Optuna and Ray Tune run short scripts of `reference/`; Ray Tune gets an
environment of its own, which uv installs at its first run. Each contestant runs once with each
seed, in turns. Each winner is trained again with further seeds, which draw other images and
weights, and then tested.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

SCRIPTS = Path(__file__).parent / "reference"
WITH_RAY = ["uv", "run", "--project", str(SCRIPTS.parent.parent), "--with", "ray[tune]==2.60.0"]
PAIRS = ",".join(f"[{a},{b}]" for a in (8, 16, 32) for b in (16, 32, 64))
SPACE = [
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    "data.batch_size=choice(32,64,128,256)",
    "model.kernel_size=choice(3,5,7)",
    f"model.channels=choice({PAIRS})",
]
DATA = ["data=mnist", "trainer.epochs=5", "trainer.train_limit=10000", "trainer.val_limit=2000"]
Winner = dict[str, Any]


def ours(*more: str) -> Callable[[Path, str, int], list[str]]:
    """Return a function that runs the sweep with our program; it returns the winner's overrides."""

    def run(folder: Path, root: str, seed: int) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "sweeper",
            "--multirun",
            *DATA,
            f"data.root={root}",
            *SPACE,
        ]
        command += [f"seed={seed}", "hydra.sweeper.n_trials=20", *more]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        results = next(folder.glob("multirun/*/optimization_results.yaml"))
        best = yaml.safe_load(results.read_text(encoding="utf-8"))["best_params"]
        return [f"{key}={_text(value)}" for key, value in best.items()]

    return run


def script(name: str, *python: str) -> Callable[[Path, str, int], list[str]]:
    """Return a function that runs a script of `reference/`; it returns the winner's overrides."""

    def run(folder: Path, root: str, seed: int) -> list[str]:
        command = [*python, str(SCRIPTS / name), root, str(seed)]
        # Ray would let its workers install the project of the folder in which the script runs.
        env = os.environ | {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
        done = subprocess.run(
            command, cwd=folder, env=env, check=True, capture_output=True, text=True
        )
        best = json.loads(done.stdout.splitlines()[-1])
        return [
            f"optimizer.lr={best['lr']}",
            f"data.batch_size={best['batch_size']}",
            f"model.kernel_size={best['kernel_size']}",
            f"model.channels=[{best['channels']}]",
        ]

    return run


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace(" ", "")


CONTESTANTS: dict[str, Callable[[Path, str, int], list[str]]] = {
    "ours": ours(),
    "ours, median": ours("hydra/sweeper/pruner=median"),
    "plain Optuna": script("plain_optuna.py", sys.executable),
    "Ray Tune": script("ray_tune.py", *WITH_RAY, "python"),
}


def tested(overrides: list[str], root: str, seed: int) -> float:
    """Train a winner again; return its test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sweeper", *DATA, f"data.root={root}", *overrides]
        command += [f"seed={seed}", "tracking=none", "figures=false", "trainer.threads=1"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    line = next(s for s in done.stdout.splitlines() if s.strip().startswith("test accuracy"))
    return float(line.split()[-1])


def test_all(rows: list[dict[str, Any]], root: str, seeds: list[int]) -> None:
    """Write the test accuracies of each winner into its row."""
    jobs = [(row["winner"], root, seed) for row in rows for seed in seeds]
    with ThreadPoolExecutor(2) as pool:
        values = list(pool.map(lambda job: tested(*job), jobs))
    for i, row in enumerate(rows):
        row["test"] = values[i * len(seeds) : (i + 1) * len(seeds)]


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--retrain", nargs="*", type=int, default=[100, 101, 102])
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "reference.json")
    arguments = parser.parse_args()
    root, rows = str(Path(arguments.root).absolute()), []
    for seed in arguments.seeds:
        for name in arguments.only:
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                winner = CONTESTANTS[name](Path(folder), root, seed)
                seconds = time.perf_counter() - started
            rows.append({"name": name, "seed": seed, "seconds": seconds, "winner": winner})
            print(f"{name:<14} seed {seed}  {seconds:6.1f} s  {' '.join(winner)}", flush=True)
    test_all(rows, root, arguments.retrain)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"\n{'':<14} {'median s':>9} {'range':>15} {'mean test accuracy':>20}")
    for name in arguments.only:
        own = [row for row in rows if row["name"] == name]
        seconds = [row["seconds"] for row in own]
        tests = [value for row in own for value in row["test"]] or [float("nan")]
        span = f"{min(seconds):.0f}-{max(seconds):.0f}"
        median, mean = statistics.median(seconds), statistics.mean(tests)
        print(f"{name:<14} {median:>9.1f} {span:>15} {mean:>20.4f}")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
