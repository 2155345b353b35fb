"""Learning curves of random points of two search spaces, for `simulate.py` and `replay.py`.

    python benchmarks/curves.py r1 --points 300 --root data     # 20 to 30 CPU seconds a point
    python benchmarks/curves.py r2 --points 154 --root data     # 26 CPU seconds a point
    python benchmarks/curves.py digits --points 200             # 2 CPU seconds a point

r1      `model=cnn` on 10,000 images of MNIST with 2,000 validation images, 5 epochs: learning rate,
        batch size, kernel size and channels; a value after each quarter of the first two epochs,
        then after each epoch
r2      `cnn`, `lenet5` and `mlp` on the same images, 9 epochs, with three optimizers and what the
        three networks and optimizers search themselves; a value after each quarter of the first
        two epochs, then after each epoch. A part of the points has a rate at which most networks
        learn, because a sampler spends most trials there
digits  `model=mlp` on scikit-learn's digits, 20 epochs: learning rate, weight decay, hidden sizes,
        dropout and batch size; a value after each epoch

Every point is trained by sweeper's own loop on one thread. A line of the file holds one point:

val      validation accuracy at each look; `at` are their positions in epochs
test     test accuracy of the best epoch; it tells which point is best, and no rule may see it
seconds  CPU seconds to train each part of an epoch (quarters for r1 and r2), without the looks
look     CPU seconds of one look at the validation images
start    CPU seconds to build the experiment

CPU time depends less than wall time on what else the machine does. The lines are appended in the
order of completion. A command that was interrupted goes on where it stopped.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from sweeper.build.choices import named_choices
from sweeper.build.recipe import build
from sweeper.configs import CONFIGS
from sweeper.errors import TrainingError
from sweeper.hydra_versions import COMPOSING
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.loop import fit
from sweeper.training.scoring import measure
from sweeper.training.state import RunState

FOLDER = Path(__file__).parent / "curves"
Point = dict[str, Any]
"""Values by config key."""


def r1_point(random: np.random.Generator) -> Point:
    """Draw a point of the reference space."""
    return {
        "optimizer.lr": log_uniform(random, 1e-4, 1e-1),
        "data.batch_size": int(random.choice([32, 64, 128, 256])),
        "model.kernel_size": int(random.choice([3, 5, 7])),
        "model.channels": [int(random.choice([8, 16, 32])), int(random.choice([16, 32, 64]))],
    }


def r2_point(random: np.random.Generator) -> Point:
    """Draw a point of the wide space: the networks, what each one searches, and so on."""
    network = str(random.choice(list(NETWORKS)))
    optimizer = str(random.choice(["sgd", "adam", "rmsprop"]))
    learns = random.uniform() < 0.6
    point: Point = {
        "model": network,
        "optimizer": optimizer,
        "scheduler": str(random.choice(["none", "cosine"])),
        "optimizer.lr": log_uniform(random, *((3e-4, 3e-2) if learns else (1e-6, 1e-1))),
        "optimizer.weight_decay": log_uniform(random, 1e-6, 1e-1 if optimizer == "adam" else 1e-2),
        "data.batch_size": int(random.choice([32, 64, 128, 256])),
        "model.dropout": round(float(random.uniform(0, 0.6 if network == "mlp" else 0.5)), 3),
    }
    if optimizer != "adam":
        low, high = (0.8, 0.99) if optimizer == "sgd" else (0.0, 0.95)
        point["optimizer.momentum"] = round(float(random.uniform(low, high)), 3)
    for key, values in NETWORKS[network].items():
        point[f"model.{key}"] = values[int(random.integers(len(values)))]
    return point


def digits_point(random: np.random.Generator) -> Point:
    """Draw a point of the perceptron's space."""
    sizes = [int(size) for size in random.choice([16, 32, 64, 128, 256, 512], 2)]
    return {
        "optimizer.lr": log_uniform(random, 1e-5, 1e-1),
        "optimizer.weight_decay": log_uniform(random, 1e-6, 1e-1),
        "model.hidden": sizes[: int(random.integers(1, 3))],
        "model.dropout": round(float(random.uniform(0, 0.8)), 3),
        "data.batch_size": int(random.choice([16, 32, 64, 128, 256])),
    }


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Draw a number with four digits, uniform in its logarithm."""
    return float(f"{np.exp(random.uniform(np.log(low), np.log(high))):.4g}")


NETWORKS: dict[str, dict[str, list[Any]]] = {
    "cnn": {
        "channels": [[8, 16], [16, 32], [32, 64], [64, 128]],
        "kernel_size": [2, 3, 4, 5, 7],
        "batch_norm": [True, False],
        "activation": ["relu", "leaky_relu", "tanh", "gelu", "silu"],
        "pooling": ["max", "average"],
    },
    "lenet5": {
        "channels": [[6, 16], [12, 32], [24, 64]],
        "kernel_size": [3, 5, 7],
        "activation": ["sigmoid", "tanh", "relu", "gelu"],
        "hidden": [[84], [120, 84], [240, 168]],
        "pooling": ["max", "average"],
    },
    "mlp": {
        "hidden": [[128], [512], [512, 256], [1024, 512, 256]],
        "batch_norm": [True, False],
        "activation": ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"],
    },
}
"""The choices of the `search` blocks of the networks of r2."""


@dataclass(frozen=True)
class Task:
    """A search space, and how its points are trained."""

    draw: Callable[[np.random.Generator], Point]
    epochs: int
    at: list[float]
    """The positions of the looks, in epochs."""
    parts: int
    """The number of parts of an epoch that are timed."""
    overrides: list[str]


TASKS = {
    "r1": Task(
        r1_point,
        epochs=5,
        at=[0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 3, 4, 5],
        parts=4,
        overrides=[
            *("model=cnn", "data=mnist", "optimizer=adam"),
            *("trainer.train_limit=10000", "trainer.val_limit=2000"),
        ],
    ),
    "r2": Task(
        r2_point,
        epochs=9,
        at=[0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, *range(2, 10)],
        parts=4,
        overrides=[
            *("data=mnist", "loss.label_smoothing=0"),
            *("trainer.train_limit=10000", "trainer.val_limit=2000"),
        ],
    ),
    "digits": Task(
        digits_point,
        epochs=20,
        at=list(range(1, 21)),
        parts=1,
        overrides=["model=mlp", "data=digits", "optimizer=adamw"],
    ),
}


@dataclass
class Recorder(Callback):
    """Callback that times the parts of each epoch, and looks at the validation images."""

    experiment: Experiment
    task: Task
    val: list[float] = field(default_factory=list)
    test: float | None = None
    seconds: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    mark: float = 0.0

    def on_epoch_start(self, state: RunState) -> None:
        self.mark = time.thread_time()

    def on_batch_end(self, state: RunState) -> None:
        parts, steps = self.task.parts, state.steps_per_epoch
        ends = {round(part * steps / parts): part for part in range(1, parts + 1)}
        if state.batch not in ends:
            return
        self.seconds.append(time.thread_time() - self.mark)
        between = state.batch < steps  # the loop itself looks at the end of an epoch
        if between and state.epoch + ends[state.batch] / parts in self.task.at:
            started = time.thread_time()
            self.val.append(self._accuracy("val"))
            self.looks.append(time.thread_time() - started)
            self.experiment.model.train()
        self.mark = time.thread_time()

    def on_epoch_end(self, state: RunState) -> None:
        self.looks.append(time.thread_time() - self.mark)
        self.val.append(state.value)
        if state.improved:
            self.best = copy.deepcopy(self.experiment.classifier.model.state_dict())

    def on_fit_end(self, state: RunState) -> None:
        self.experiment.classifier.model.load_state_dict(self.best)
        self.test = self._accuracy("test")

    def _accuracy(self, split: str) -> float:
        batches = getattr(self.experiment.data, split)()
        return measure(self.experiment.classifier, batches)["accuracy"]


def record(name: str, index: int, point: Point, root: str) -> dict[str, Any]:
    """Train a point; return its line of the file."""
    task = TASKS[name]
    started = time.thread_time()
    experiment = experiment_of(task, point, root)
    seconds_to_start = time.thread_time() - started
    state = RunState(task.epochs, experiment.data.steps_per_epoch, "val/accuracy", "maximize")
    recorder, failure = Recorder(experiment, task), None
    try:
        fit(experiment, state, [recorder])
    except TrainingError as error:  # a loss that is not finite is a result
        failure = str(error)
    return {
        "index": index,
        "point": point,
        "at": task.at,
        "val": [round(value, 4) for value in recorder.val],
        "test": recorder.test and round(recorder.test, 4),
        "seconds": [round(value, 3) for value in recorder.seconds],
        "look": round(float(np.median(recorder.looks or [0.0])), 4),
        "start": round(seconds_to_start, 3),
        **({"failure": failure} if failure else {}),
    }


def experiment_of(task: Task, point: Point, root: str) -> Experiment:
    """Return the experiment of a point."""
    values = [f"{key}={value}".replace(" ", "") for key, value in point.items()]
    roots = [f"data.root={root}"] if "data=mnist" in task.overrides else []
    fixed = ["trainer.threads=1", "trainer.channels_last=true", "tracking=none"]
    overrides = [*task.overrides, *roots, *fixed, f"trainer.epochs={task.epochs}", *values]
    with initialize_config_dir(str(CONFIGS), **COMPOSING):
        cfg = compose("config", overrides, return_hydra_config=True)
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    return build(cfg, named_choices(cfg, choices), Path.cwd())


def main() -> None:
    """Append the curves that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--root", default="data", help="folder with torchvision's MNIST")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--file", type=Path, help="the default is curves/TASK.jsonl beside this")
    arguments = parser.parse_args()
    path = arguments.file or FOLDER / f"{arguments.task}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {json.loads(line)["index"] for line in lines}
    random = np.random.default_rng(0)
    points = [TASKS[arguments.task].draw(random) for _ in range(arguments.points)]
    missing = {index: point for index, point in enumerate(points) if index not in done}
    workers = {"max_workers": arguments.processes, "mp_context": get_context("spawn")}
    with ProcessPoolExecutor(**workers) as pool, path.open("a", encoding="utf-8") as file:
        futures = [
            pool.submit(record, arguments.task, index, point, arguments.root)
            for index, point in missing.items()
        ]
        for future in as_completed(futures):
            line = future.result()
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            print(line["index"], line["point"], max(line["val"], default=None), flush=True)


if __name__ == "__main__":
    main()
