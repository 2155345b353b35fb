"""The Pareto front of `search=size` with each sampler: how large an area does it dominate?

    python benchmarks/size_samplers.py [--samplers tpe nsgaii gp] [--seeds 0 1 2 3 4] [overrides]

One study for each sampler and seed: 30 trials, one worker. The seed draws the points, the split and
the weights. The area is that between the front and the reference point, accuracy 0.8 and 20,000
parameters; a front that dominates all of it, with accuracy 1 at one parameter, has the area 1. The
number of parameters counts by its logarithm, so that halving a small network is worth as much as
halving a large one. `half` is the area after half of the trials.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

POPULATION = "hydra.sweeper.sampler.population_size=10"
INDEPENDENT = ["hydra.sweeper.sampler.multivariate=false", "hydra.sweeper.sampler.group=false"]
SAMPLERS = {
    "tpe": ["hydra/sweeper/sampler=tpe"],
    "nsgaii": ["hydra/sweeper/sampler=nsgaii"],
    "gp": ["hydra/sweeper/sampler=gp"],
    "nsgaii-10": ["hydra/sweeper/sampler=nsgaii", POPULATION],
    "tpe-independent": ["hydra/sweeper/sampler=tpe", *INDEPENDENT],
    "random": ["hydra/sweeper/sampler=random"],
}
WORST_ACCURACY, MOST_PARAMETERS = 0.8, 20_000.0
Point = tuple[float, float]


def points(folder: Path, sampler: str, seed: int, arguments: argparse.Namespace) -> list[Point]:
    """Run a study; return accuracy and number of parameters of its trials, in order."""
    command = [
        *(sys.executable, "-m", "sweeper", "--multirun", "search=size", f"seed={seed}"),
        *("hydra.sweeper.n_jobs=1", f"hydra.sweeper.n_trials={arguments.trials}"),
        *("tracking=none", "hydra.sweep.dir=study", *SAMPLERS[sampler], *arguments.overrides),
    ]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    storage = JournalStorage(JournalFileBackend(str(folder / "study" / "journal.log")))
    [name] = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    return [(t.values[0], t.values[1]) for t in trials if t.values]


def dominated_area(points: Iterable[Point]) -> float:
    """Return the fraction of the area beyond the reference point that these points dominate."""
    area, smallest = 0.0, math.log(MOST_PARAMETERS)
    for accuracy, n_parameters in sorted(points, key=lambda point: (-point[0], point[1])):
        if accuracy > WORST_ACCURACY and math.log(n_parameters) < smallest:
            area += (accuracy - WORST_ACCURACY) * (smallest - math.log(n_parameters))
            smallest = math.log(n_parameters)
    return area / ((1 - WORST_ACCURACY) * math.log(MOST_PARAMETERS))


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["tpe", "nsgaii", "gp"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "size.json")
    parser.add_argument("overrides", nargs="*", help="further overrides")
    arguments = parser.parse_intermixed_args()
    results: list[dict[str, object]] = []
    areas: dict[str, list[float]] = {}
    print(f"{'sampler':<18}{'seed':>5}{'half':>8}{'area':>8}", flush=True)
    for seed in arguments.seeds:
        for sampler in arguments.samplers:
            with tempfile.TemporaryDirectory() as folder:
                found = points(Path(folder), sampler, seed, arguments)
            half, area = dominated_area(found[: arguments.trials // 2]), dominated_area(found)
            areas.setdefault(sampler, []).append(area)
            results.append({"sampler": sampler, "seed": seed, "area": area, "points": found})
            arguments.json.write_text(json.dumps(results) + "\n", encoding="utf-8")
            print(f"{sampler:<18}{seed:>5}{half:>8.4f}{area:>8.4f}", flush=True)
    for sampler, values in areas.items():
        print(f"{sampler:<18} mean{'':>8}{statistics.mean(values):>8.4f}")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
