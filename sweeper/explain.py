"""Explain the best trial of a study: which change from the default config brought how much.

    python -m sweeper.explain STUDY_FOLDER [epochs=N] [limit=N]

From the default config on, each step changes the parameter that improves the metric most, until the
best trial is reached (an ablation path). An option of a group, such as model=lenet, comes with the
values that only it has, or for which it has another default. Runs of the study are used again;
those that are missing are run as trials of a study of their own, in explain/ in the folder of the
study. The same command goes on after an interruption. Prints a table and a few sentences, and draws
explanation.png.

    epochs=5     run everything anew, with so many epochs
    limit=2000   run everything anew, with so many training images
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from sweeper.cli.arguments import parse_arguments, run_tool, study_meant
from sweeper.cli.leaving import leave
from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.command import recorded_command
from sweeper.sweep.explain.account import companions, sentences, table
from sweeper.sweep.explain.explanation import EXPLAIN_LOCK, Explanation, explained
from sweeper.text import printable

BOUNDS = {"epochs": "trainer.epochs", "limit": "trainer.train_limit"}
FIGURE = "explanation.png"


def explain(argv: Sequence[str]) -> None:
    """Print and draw the explanation of a study's winner.

    Raises:
        SweeperError: there is no such study, it cannot be explained, or a run failed.
    """
    if meant := study_meant(argv):
        line = f"{' '.join(argv)}: names no folder; type python -m sweeper.explain {meant}"
        raise ConfigError(line)
    arguments = parse_arguments(argv, tuple(BOUNDS))
    if len(arguments.positional) != 1 or arguments.overrides:
        raise ConfigError("type python -m sweeper.explain STUDY_FOLDER, such as multirun/NAME")
    for key, value in arguments.values.items():
        if not value.isdecimal() or int(value) < 1:
            raise ConfigError(f"{key}={value}: must be a number of at least 1; type {key}=5")
    folder = Path(arguments.positional[0])
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; type one such as multirun/NAME")
    bounds = [f"{BOUNDS[key]}={value}" for key, value in sorted(arguments.values.items())]
    recorded_command(folder)  # nothing is written to a folder of something else
    with locked(folder / EXPLAIN_LOCK, shared=True):
        found = explained(folder, bounds)
        _draw(found, folder / FIGURE)
    lines = [table(found.start, found.changes, found.baseline), *companions(found.changes)]
    lines += [*sentences(found.changes), f"figure: {folder / FIGURE}"]
    sys.stdout.write(printable("\n".join(lines), newlines=True) + "\n")


def _draw(found: Explanation, path: Path) -> None:
    from sweeper.figures.waterfall import waterfall  # imports matplotlib

    runs = [(found.baseline, found.start, 0.0)]
    runs += [(change.text, change.value, change.gain) for change in found.changes]
    (first, start, _), *rows = (run for run in runs if math.isfinite(run[1]))
    about = f"study {path.parent.resolve().name}"
    figure = waterfall(start, rows, first, "value of the objective", about)
    figure.savefig(path)


if __name__ == "__main__":
    leave(run_tool, explain, __doc__)
