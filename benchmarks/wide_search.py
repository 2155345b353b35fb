"""The wide search R2, with conditions: seconds to a good configuration, against an Optuna script.

    python benchmarks/wide_search.py --root FOLDER [--seeds 0 1 2] [--retrain 100 101 102]

R2 searches three networks, three optimizers, two schedules, learning rates over five decades, batch
size, and what the chosen network and optimizer have in their `search` blocks: 60 trials of at most
9 epochs on 10,000 MNIST images, with 2,000 for validation. No trial starts from the default config.
The script of `reference/` has the same space. Our study ends long before it, so it also runs with
150 trials, which take about as long as the script, and with a race of three finalists at its end.

Every epoch of every trial is in MLflow. So this program knows, for each second, the configuration
with the best validation accuracy so far. The last one is the winner of the race, if there was one.
Each of them is trained again with further seeds, which draw other images and weights, and then
tested. It prints the seconds until a configuration is found whose test accuracy is within 0.002 of
the best known one, and the test accuracy that was reached after a quarter, half and all of the
longest time of a contestant.
"""

import argparse
import json
import sqlite3
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

SCRIPT = Path(__file__).parent / "reference" / "wide_optuna.py"
DATA = ["data=mnist", "trainer.epochs=9", "trainer.train_limit=10000", "trainer.val_limit=2000"]
SPACE = [
    "model=cnn,lenet5,mlp",
    "optimizer=sgd,adam,rmsprop",
    "scheduler=none,cosine",
    "optimizer.lr=tag(log,interval(1e-6,1e-1))",
    "data.batch_size=choice(32,64,128,256)",
    "loss.label_smoothing=0",
    "hydra.sweeper.auto=true",
    "hydra.sweeper.warm_start=false",
]
NEAR = 0.002
EPOCHS = """
select m.timestamp, m.value, m.run_uuid from metrics m
join params p on p.run_uuid = m.run_uuid and p.key = 'optimizer.lr'
join runs r on r.run_uuid = m.run_uuid and r.name not like '% seed %'
where m.key = 'val/accuracy' order by m.timestamp
"""
"""The epochs of the search. The run of a finalist is named `trial 7 seed 2`."""
Incumbent = dict[str, Any]
"""Seconds since the start, validation accuracy, overrides, and then the test accuracy."""


def ours(n_trials: int, *more: str) -> Callable[[str, int], list[str]]:
    """Return a function that returns the command of our study with that many trials."""

    def command(root: str, seed: int) -> list[str]:
        study = [sys.executable, "-m", "sweeper", "--multirun", *DATA, f"data.root={root}", *SPACE]
        return [*study, f"hydra.sweeper.n_trials={n_trials}", f"seed={seed}", *more]

    return command


def plain_optuna(root: str, seed: int) -> list[str]:
    """Return the command of the script."""
    return [sys.executable, str(SCRIPT), root, str(seed)]


CONTESTANTS: dict[str, Callable[[str, int], list[str]]] = {
    "ours": ours(60),
    "ours, 150 trials": ours(150),
    "ours, finalists": ours(60, "hydra.sweeper.finalists=3"),
    "plain Optuna": plain_optuna,
}


def searched(command: list[str]) -> tuple[float, list[Incumbent]]:
    """Run a search; return its seconds and the configurations that were the best one for a time."""
    with tempfile.TemporaryDirectory() as folder:
        started, clock = time.time(), time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds = time.perf_counter() - clock
        database = sqlite3.connect(Path(folder) / "mlflow.db")
        incumbents: list[Incumbent] = []
        for stamp, value, run in database.execute(EPOCHS).fetchall():
            if incumbents and value <= incumbents[-1]["value"]:
                continue
            rows = database.execute("select key, value from params where run_uuid = ?", [run])
            overrides = sorted(f"{key}={text.replace(' ', '')}" for key, text in rows)
            row = {"seconds": stamp / 1000 - started, "value": value, "overrides": overrides}
            incumbents.append(row)
        database.close()
        incumbents += race_winner(Path(folder), seconds)
    return seconds, incumbents


def race_winner(folder: Path, seconds: float) -> list[Incumbent]:
    """Return the winner of the finalists' race as the last incumbent; empty without a race."""
    for path in folder.glob("multirun/*/optimization_results.yaml"):
        results = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "finalists" in results:
            params = results["best_params"].items()
            overrides = sorted(f"{key}={_text(value)}" for key, value in params)
            return [{"seconds": seconds, "value": results["best_value"], "overrides": overrides}]
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace(" ", "")


def tested(overrides: list[str], root: str, seed: int) -> float:
    """Train a configuration again; return its test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sweeper", *DATA, f"data.root={root}", *overrides]
        command += [f"seed={seed}", "tracking=none", "figures=false", "trainer.threads=1"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    line = next(s for s in done.stdout.splitlines() if s.strip().startswith("test accuracy"))
    return float(line.split()[-1])


def test_all(rows: list[dict[str, Any]], root: str, seeds: list[int]) -> None:
    """Write the mean test accuracy into each incumbent; equal configurations are trained once."""
    known: dict[tuple[str, ...], float] = {}
    incumbents = [incumbent for row in rows for incumbent in row["incumbents"]]
    configs = {tuple(incumbent["overrides"]) for incumbent in incumbents}

    def mean(config: tuple[str, ...]) -> None:
        known[config] = statistics.mean(tested(list(config), root, seed) for seed in seeds)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(mean, configs))
    for incumbent in incumbents:
        incumbent["test"] = known[tuple(incumbent["overrides"])]


def accuracy_at(incumbents: list[Incumbent], seconds: float) -> float:
    """Return the test accuracy of the configuration that is the best one at that time."""
    before = [incumbent["test"] for incumbent in incumbents if incumbent["seconds"] <= seconds]
    return before[-1] if before else float("nan")


def seconds_to(incumbents: list[Incumbent], target: float) -> float:
    """Return the seconds until the best configuration has this test accuracy; else infinity."""
    return min((i["seconds"] for i in incumbents if i["test"] >= target), default=float("inf"))


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    best = max(incumbent["test"] for row in rows for incumbent in row["incumbents"])
    print(f"best known test accuracy {best:.4f}; near: at least {best - NEAR:.4f}")
    print(f"{'':<17}{'seed':>5}{'seconds':>9}{'to near':>9}{'1/4':>9}{'1/2':>9}{'all':>9}")
    for row in rows:
        longest = max(each["seconds"] for each in rows if each["seed"] == row["seed"])
        parts = [accuracy_at(row["incumbents"], longest * part) for part in (0.25, 0.5, 1)]
        near = seconds_to(row["incumbents"], best - NEAR)
        print(
            f"{row['name']:<17}{row['seed']:>5}{row['seconds']:>9.1f}{near:>9.1f}"
            + "".join(f"{part:>9.4f}" for part in parts)
        )


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--retrain", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=[*CONTESTANTS])
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "wide.json")
    arguments = parser.parse_args()
    root, rows = str(Path(arguments.root).absolute()), []
    for seed in arguments.seeds:
        for name in arguments.only:
            seconds, incumbents = searched(CONTESTANTS[name](root, seed))
            rows.append({"name": name, "seed": seed, "seconds": seconds, "incumbents": incumbents})
            last = incumbents[-1]
            print(f"{name:<17} seed {seed}  {seconds:6.1f} s  {last['value']:.4f}", flush=True)
            arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    test_all(rows, root, arguments.retrain)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    report(rows)
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
