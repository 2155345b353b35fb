"""Rules that stop, pause or promote trials, compared on a virtual clock over tables of curves.

    python benchmarks/simulate.py [--tables r1 digits crossing-50] [--rules none median p-3-1-1]
    python benchmarks/simulate.py --sampler tpe --rules halving-3 race-3-5%-2 race-2-5%-2
    python benchmarks/simulate.py --sampler tpe --candidates 24 --tables r2 --trials 60

Each repetition draws `--trials` points of a table at random, and gives them to every rule in the
same order: a random one, or with `--improving` one in which good points tend to come later, like
those of a sampler that learns. With `--sampler tpe` each study draws its own points of a recorded
table, as Optuna's TPE does with the values that the rule lets it see: the best of `--candidates`
points. `r1`, `r2` and `digits` are recorded by `curves.py`; the families
of `simulation/families.py` are made up.

seconds  summed over the workers, in training, looks at the validation images and starts
wall     seconds until the last worker is done
epochs   epochs trained, as a share of those of all trials
regret   share of the trials that are truly better than the winner, in percent
lost     the regret minus that without a rule
accuracy true value of the winner, minus that without a rule, in percent
true     true value of the winner, in percent

The name of a promotion rule is p-ETA-R-FINISH, where R is in epochs, or in % of all epochs. With
race- instead of p- it is the rule of the sweeper, in which the foremost trials race for the FINISH
places. These parts may follow:

cap           deepen no more trials at a time than are missing
best, mean    the value of a rung is the best so far, or the mean of the last two looks
breadth       start all trials before one is promoted
wait          a rung promotes from 2 ETA members on
value, log    deepen the best paused trial of all, or the one with the best extrapolation
"""

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from simulation.clock import Draw, Outcome, Rule, simulate
from simulation.families import MADE_UP, table
from simulation.promotion import Promotion
from simulation.race import Race
from simulation.sampling import TPE, listed
from simulation.stopping import Halving, Median, Stopping
from simulation.tables import Table

STOPPING: dict[str, Callable[[], Rule]] = {
    "none": Stopping,
    "median": Median,
    "halving-3": lambda: Halving(eta=3),
    "halving-4": lambda: Halving(eta=4),
}
WORDS: dict[str, dict[str, Any]] = {
    **{value: {"value": value} for value in ("best", "mean")},
    **{deepen: {"deepen": deepen} for deepen in ("value", "log")},
    "breadth": {"breadth": True},
    "wait": {"members": 2},
    "cap": {"capped": True},
}


NOISE = 0.35
"""Of the order of improving points; their ranks are between 0 and 1."""


def rule(name: str) -> Rule:
    """Return a new rule by its name."""
    if name in STOPPING:
        return STOPPING[name]()
    kind, eta, r, finish, *words = name.split("-")
    is_share = r.endswith("%")
    options: dict[str, Any] = {"r": float(r[:-1]) / 100 if is_share else float(r)}
    for word in words:
        options |= WORDS[word]
    promotion = Race if kind == "race" else Promotion
    return promotion(eta=int(eta), is_share=is_share, finish=int(finish), **options)


def fits(name: str, curves: Table) -> bool:
    """Return whether the table has a look at every rung of the rule."""
    made = rule(name)
    return not isinstance(made, Promotion) or set(made.rungs(curves)) <= set(curves.at)


def draws(curves: Table, arguments: argparse.Namespace) -> list[Callable[[], Draw]]:
    """Return what makes the draw of each repetition, for any rule."""
    if arguments.sampler == "tpe":
        numbers = range(arguments.seed, arguments.seed + arguments.repeats)
        return [partial(TPE, curves, number, arguments.candidates) for number in numbers]
    random, made = np.random.default_rng(arguments.seed), []
    for _ in range(arguments.repeats):
        points = random.choice(len(curves.true), arguments.trials, replace=False)
        if arguments.improving:
            rank = curves.true[points].argsort().argsort() / len(points)
            points = points[np.argsort(rank + random.normal(0, NOISE, len(points)))]
        made.append(partial(listed, points.tolist()))
    return made


def regret(curves: Table, study: Outcome) -> float:
    """Return the share of the points that are truly better than the winner, in percent."""
    return 100 * float((curves.true[study.points] > curves.true[study.winner]).mean())


def row(
    name: str, curves: Table, found: Sequence[Outcome], base: Sequence[Outcome]
) -> dict[str, Any]:
    """Return the means over the repetitions; `base` are the studies without a rule."""
    mean = statistics.fmean
    regrets, without = ([regret(curves, study) for study in each] for each in (found, base))
    won = [curves.true[o.winner] - curves.true[b.winner] for o, b in zip(found, base, strict=True)]
    lost = [a - b for a, b in zip(regrets, without, strict=True)]
    return {
        "table": curves.name,
        "rule": name,
        "seconds": mean(o.seconds for o in found),
        "wall": mean(o.wall for o in found),
        "epochs": mean(o.share for o in found),
        "complete": mean(o.complete for o in found),
        "regret": mean(regrets),
        "lost": mean(lost),
        "error": statistics.stdev(lost) / len(lost) ** 0.5,
        "accuracy": 100 * mean(map(float, won)),
        "true": 100 * mean(float(curves.true[study.winner]) for study in found),
    }


COLUMNS = {
    "seconds": "9.1f",
    "wall": "8.1f",
    "epochs": "8.3f",
    "complete": "9.1f",
    "regret": "8.2f",
    "lost": "7.2f",
    "error": "7.2f",
    "accuracy": "10.3f",
    "true": "8.3f",
}


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", nargs="+", default=["r1", "r2", "digits", *MADE_UP])
    parser.add_argument(
        "--rules",
        nargs="+",
        default=[*STOPPING, "p-3-1-1", *(f"p-3-5%-{n}-cap" for n in (1, 2, 3)), "race-3-5%-2"],
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--sampler", choices=["random", "tpe"], default="random")
    parser.add_argument("--candidates", type=int, default=2, help="of which TPE draws the best")
    parser.add_argument("--improving", action="store_true", help="good points come later")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "simulate.json")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    rows = []
    header = "".join(f"{column:>{form.split('.')[0]}}" for column, form in COLUMNS.items())
    print(f"{'table':<14}{'rule':<26}{header}")
    for name in arguments.tables:
        curves = table(name)
        if arguments.sampler == "tpe" and not curves.points:
            continue
        makers, size = draws(curves, arguments), (arguments.trials, arguments.workers)
        base = [simulate(curves, make(), *size, Stopping()) for make in makers]
        for rule_name in arguments.rules:
            if not fits(rule_name, curves):
                continue
            found = [simulate(curves, make(), *size, rule(rule_name)) for make in makers]
            rows.append(row(rule_name, curves, found, base))
            cells = "".join(f"{rows[-1][c]:>{f}}" for c, f in COLUMNS.items())
            print(f"{name:<14}{rule_name:<26}{cells}", flush=True)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
