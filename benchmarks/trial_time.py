"""Milliseconds of a trial beside its epochs, on the small network and 10,000 images of MNIST.

    python benchmarks/trial_time.py [--root data] [--trials 12] [--images 10000] [--epochs 5]
        [--tracking mlflow none] [--json FILE]

This is the time from the start of a trial to the start of the next one, as the storage records
them, without the seconds of its epochs, as its checkpoint records them. It is what composing,
building, recording and checkpoints take. One worker runs the study.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna

from sweeper.sweep.storage import open_storage
from sweeper.training.checkpoint import read_checkpoint

WARM_UP = 2
"""The first trials of a worker import torch and MLflow, and compose the options."""


def run(folder: Path, tracking: str, arguments: argparse.Namespace) -> None:
    """Run a study in `folder`."""
    overrides = [
        *("search=cnn", "data=mnist", f"data.root={arguments.root.absolute()}"),
        *(f"trainer.train_limit={arguments.images}", f"trainer.val_limit={arguments.images // 5}"),
        *(f"trainer.epochs={arguments.epochs}", f"tracking={tracking}"),
        *("hydra/sweeper/pruner=none", f"hydra.sweeper.n_trials={arguments.trials}"),
        *("hydra.sweeper.n_jobs=1", "hydra.sweeper.study_name=o", *arguments.override),
    ]
    command = [sys.executable, "-m", "sweeper", "--multirun", *overrides]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def times_ms(folder: Path) -> tuple[list[float], list[float]]:
    """Return the time of each trial beside its epochs, and that of its epochs."""
    study = folder / "multirun" / "o"
    storage = open_storage(None, study)
    trials = optuna.load_study(study_name="o", storage=storage).trials
    beside, within = [], []
    for trial, later in zip(trials, trials[1:], strict=False):
        assert trial.datetime_start is not None
        assert later.datetime_start is not None
        content = read_checkpoint(study / str(trial.number) / "checkpoints" / "last.pt")
        epochs = sum(epoch["epoch_seconds"] for epoch in content["state"]["history"])
        whole = (later.datetime_start - trial.datetime_start).total_seconds()
        beside.append(1000 * (whole - epochs))
        within.append(1000 * epochs)
    return beside[WARM_UP:], within[WARM_UP:]


def main() -> None:
    """Print the medians and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tracking", nargs="+", default=["mlflow", "none"])
    parser.add_argument("--override", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {}
    for tracking in arguments.tracking:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), tracking, arguments)
            beside, within = map(statistics.median, times_ms(Path(folder)))
        results[tracking] = {"beside_ms": beside, "epochs_ms": within}
        print(f"{tracking:8} {beside:8.0f} ms beside the epochs, {within:8.0f} ms in them")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
