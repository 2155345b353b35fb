"""Studies of the sweeper itself over a table of learning curves: what a rule costs, what it finds.

    python benchmarks/replay.py r1 --pruners none median promotion --repeats 5 --scale 0.02
    python benchmarks/replay.py r1 --samplers random tpe --space --pruners promotion:finish=2
    python benchmarks/replay.py crossing-50 --workers 4 --figures FOLDER

The task `replay/app.py` replays the recorded values of `curves.py`, or those of a made-up family,
and sleeps for the recorded seconds times `--scale`. A trial searches the index of a recorded
point. With `--space` it searches the parameters, and the nearest recorded point is replayed.
Settings of a pruner follow its name: promotion:reduction_factor=3,finish=2.

seconds  from the first to the last value of a study, so without the start of its processes
busy     recorded seconds of the parts that were trained, times the scale, over seconds and workers
epochs   epochs trained, as a share of those of all trials
value    the best value that the study found
true     how good the winner really is: test accuracy, or the value without noise
regret   share of the study's points that are truly better than the winner, in percent
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from optuna.distributions import distribution_to_json
from simulation.families import table
from simulation.space import distribution
from simulation.tables import Table

from sweeper.space.grammar import sweep_text

APP = Path(__file__).parent / "replay" / "app.py"


@dataclass(frozen=True)
class Part:
    """A part of an epoch of a trial; `time` is that of its value, in seconds."""

    time: float
    trial: str
    index: int
    begin: float
    end: float
    value: float


def content(curves: Table) -> dict[str, Any]:
    """Return a table as the task reads it."""
    arrays = {key: getattr(curves, key).tolist() for key in ("val", "clock", "look", "start")}
    return arrays | {"at": [float(p) for p in curves.at], "points": curves.coordinates()}


def space(curves: Table, by_parameters: bool) -> list[str]:
    """Return the search space as overrides."""
    if not by_parameters:
        return [f"index=range({len(curves.true)})"]
    points = curves.coordinates()
    if any(point.keys() != points[0].keys() for point in points):
        raise SystemExit(f"--space: the keys of {curves.name} depend on others; leave it out")
    return [f"+point.{key}={sweep([point[key] for point in points])}" for key in points[0]]


def sweep(values: list[float]) -> str:
    """Return a choice of a few values, or an interval, as Hydra's override grammar has it."""
    return sweep_text(distribution_to_json(distribution(values)))


def run(sampler: str, pruner: str, seed: int, folder: Path, arguments: argparse.Namespace) -> None:
    """Run a study in a folder."""
    name, _, settings = pruner.partition(":")
    keys = {
        "n_trials": arguments.trials,
        "n_jobs": arguments.workers,
        "study_name": "s",
        "warm_start": False,
        "direction": "maximize",
        "sampler.seed": seed,
    }
    command = [
        *(sys.executable, str(APP), "--multirun", "hydra/sweeper=sweeper"),
        *(f"hydra/sweeper/sampler={sampler}", f"hydra/sweeper/pruner={name}"),
        *(f"hydra/launcher={arguments.launcher}", f"table={folder / 'table.json'}"),
        *(f"hydra.sweeper.{key}={value}" for key, value in keys.items()),
        *(f"hydra.sweeper.pruner.{setting}" for setting in settings.split(",") if setting),
        *(f"scale={arguments.scale}", *space(table(arguments.table), arguments.space)),
        *arguments.override,
    ]
    # The task has a module in common with this script.
    path = [str(APP.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    completed = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if completed.returncode:
        raise SystemExit(f"{' '.join(command)}\n{completed.stdout}{completed.stderr}")


def parts(folder: Path) -> list[Part]:
    """Return the parts of epochs that a study has trained, in the order of time."""
    found = [
        Part(line["time"], path.parent.name, line["index"], line["from"], line["to"], line["value"])
        for path in folder.glob("multirun/s/*/progress.jsonl")
        if path.parent.name.isdigit()
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]
    return sorted(found, key=lambda part: part.time)


def measured(folder: Path, curves: Table, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a study, and its parts."""
    results = yaml.safe_load((folder / "multirun/s/optimization_results.yaml").read_text())
    trained = parts(folder)
    points = {part.trial: part.index for part in trained}
    best = (folder / "multirun/s/best/progress.jsonl").read_text(encoding="utf-8")
    winner = json.loads(best.splitlines()[-1])["index"]
    better = [curves.true[index] > curves.true[winner] for index in points.values()]
    first = min(trained, key=lambda part: part.time)
    seconds = trained[-1].time - first.time + arguments.scale * cost(curves, first)
    work = arguments.scale * sum(cost(curves, part) for part in trained)
    epochs = sum(part.end - part.begin for part in trained)
    return {
        "seconds": seconds,
        "busy": work / (arguments.workers * seconds),
        "epochs": epochs / (arguments.trials * curves.epochs),
        "value": results["best_value"],
        "true": float(curves.true[winner]),
        "regret": 100 * statistics.fmean(better),
        "parts": trained,
    }


def cost(curves: Table, part: Part) -> float:
    """Return the recorded seconds of a part of an epoch, with its look."""
    clock = [0.0, *curves.clock[part.index]]
    at = [0.0, *curves.at]
    trained = clock[at.index(part.end)] - clock[at.index(part.begin)]
    return float(trained + curves.look[part.index])


def best_so_far(trained: list[Part], curves: Table, axis: str) -> tuple[list[float], list[float]]:
    """Return the points of a step line: seconds or epochs, and the best value until then."""
    x, y, epochs, best = [0.0], [float("nan")], 0.0, float("-inf")
    for part in trained:
        epochs += part.end - part.begin
        if part.end.is_integer():
            best = max(best, part.value)
        x.append(epochs if axis == "epochs" else part.time - trained[0].time)
        y.append(best if best > float("-inf") else float("nan"))
    return x, y


def draw(runs: dict[str, list[list[Part]]], curves: Table, folder: Path) -> None:
    """Draw the mean of the best value so far against epochs and against seconds."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for axis in ("epochs", "seconds"):
        figure, axes = pyplot.subplots(figsize=(7, 4.5))
        for name, studies in runs.items():
            lines = [best_so_far(trained, curves, axis) for trained in studies]
            grid = np.linspace(0, max(x[-1] for x, _ in lines), 400)
            steps = [np.array(y)[np.searchsorted(x, grid, side="right") - 1] for x, y in lines]
            axes.plot(grid, 1 - np.mean(steps, axis=0), label=name)
        axes.set(xlabel=axis, ylabel="1 - best value so far", yscale="log", title=curves.name)
        axes.legend()
        figure.savefig(folder / f"{curves.name}-{axis}.png", dpi=120, bbox_inches="tight")
        pyplot.close(figure)
    print(f"figures in {folder}")


def main() -> None:
    """Print a table, write JSON and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", help="r1, digits, or a family such as crossing-50")
    parser.add_argument("--samplers", nargs="+", default=["random"])
    parser.add_argument("--pruners", nargs="+", default=["none", "median", "asha"])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.0)
    parser.add_argument("--space", action="store_true", help="search parameters, not an index")
    parser.add_argument("--launcher", default="local")
    parser.add_argument("--override", nargs="*", default=[], help="further overrides")
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "replay.json")
    arguments = parser.parse_args()
    curves = table(arguments.table)
    columns = ("seconds", "busy", "epochs", "value", "true", "regret")
    print(f"{'sampler':<10}{'pruner':<40}" + "".join(f"{c:>9}" for c in columns), flush=True)
    rows, runs = [], {}
    for sampler in arguments.samplers:
        for pruner in arguments.pruners:
            studies = []
            for seed in range(arguments.repeats):
                with tempfile.TemporaryDirectory() as folder:
                    (Path(folder) / "table.json").write_text(json.dumps(content(curves)))
                    run(sampler, pruner, seed, Path(folder), arguments)
                    studies.append(measured(Path(folder), curves, arguments))
            runs[f"{sampler}, {pruner}"] = [study.pop("parts") for study in studies]
            rows.append({"sampler": sampler, "pruner": pruner, "studies": studies})
            means = [statistics.fmean(study[column] for study in studies) for column in columns]
            print(f"{sampler:<10}{pruner:<40}" + "".join(f"{m:>9.4g}" for m in means), flush=True)
    if arguments.figures:
        draw(runs, curves, arguments.figures)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
