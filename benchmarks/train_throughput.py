"""Images per second of sweeper's training loop, compared with two loops written by hand.

    python benchmarks/train_throughput.py [--root data] [--models cnn lenet] [--threads 1 2]

bare         batches indexed from a uint8 tensor in memory: the upper bound on this machine
data_loader  `DataLoader` over torchvision's dataset with `ToTensor` and `Normalize`, a common form
sweeper      `train_epoch` as a run executes it, without validation

All three train the same network with the same optimizer on the same images. They take turns
several times; the ratios are those of the medians.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from torch.nn import functional
from torch.utils.data import DataLoader, Subset

from sweeper.build.choices import named_choices
from sweeper.build.recipe import build
from sweeper.configs import CONFIGS
from sweeper.hydra_versions import COMPOSING
from sweeper.training.experiment import Experiment
from sweeper.training.loop import train_epoch
from sweeper.training.state import RunState

MEAN, STD = 0.1307, 0.3081


def experiment_of(model: str, arguments: argparse.Namespace, *more: str) -> Experiment:
    """Return the experiment of the same overrides on the command line."""
    overrides = [
        *(f"model={model}", "data=mnist", "optimizer=sgd", "tracking=none"),
        *(f"data.root={arguments.root}", f"data.batch_size={arguments.batch_size}"),
        *(f"trainer.train_limit={arguments.images}", "trainer.val_limit=100"),
        *(f"data.mean=[{MEAN}]", f"data.std=[{STD}]", *arguments.override, *more),
    ]
    with initialize_config_dir(str(CONFIGS), **COMPOSING):
        cfg = compose("config", overrides, return_hydra_config=True)
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    return build(cfg, named_choices(cfg, choices), Path.cwd())


def bare(experiment: Experiment, images: torch.Tensor, labels: torch.Tensor, batch: int) -> None:
    """Train an epoch from tensors in memory.

    images: (N, 1, H, W) uint8; labels: (N,) int64.
    """
    model, optimizer = experiment.model.train(), experiment.updates.optimizer
    for indices in torch.randperm(len(images)).split(batch):
        inputs = images[indices].float().sub_(MEAN * 255).div_(STD * 255)
        loss = functional.cross_entropy(model(inputs), labels[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def data_loader(experiment: Experiment, loader: DataLoader) -> None:
    """Train an epoch as tutorials do, with the running loss."""
    model, optimizer = experiment.model.train(), experiment.updates.optimizer
    criterion, running = torch.nn.CrossEntropyLoss(), 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()


def sweeper_loop(experiment: Experiment) -> None:
    """Train an epoch with sweeper's own loop."""
    steps = experiment.data.steps_per_epoch
    train_epoch(experiment, RunState(1, steps, "val/loss", "minimize"), [])


def loops(model: str, arguments: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Return the three loops over the same number of images, by name.

    The one with a `DataLoader` keeps torch's default memory layout.
    """
    from torchvision import datasets, transforms

    steps = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    dataset = datasets.MNIST(arguments.root, transform=transforms.Compose(steps))
    images, labels = dataset.data[: arguments.images, None], dataset.targets[: arguments.images]
    part = Subset(dataset, range(arguments.images))
    loader = DataLoader(part, arguments.batch_size, shuffle=True)
    experiment = experiment_of(model, arguments)
    contiguous = experiment_of(model, arguments, "trainer.channels_last=false")
    return {
        "bare": lambda: bare(experiment, images, labels, arguments.batch_size),
        "data_loader": lambda: data_loader(contiguous, loader),
        "sweeper": lambda: sweeper_loop(experiment),
    }


def measure(model: str, threads: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Return the images per second of the three loops."""
    torch.set_num_threads(threads)
    named_loops = loops(model, arguments)
    seconds: dict[str, list[float]] = {}
    for repeat in range(arguments.repeats + 1):
        for name, loop in named_loops.items():
            started = time.perf_counter()
            loop()
            if repeat:  # the first round warms up
                seconds.setdefault(name, []).append(time.perf_counter() - started)
    rate = {name: arguments.images / statistics.median(s) for name, s in seconds.items()}
    row = {"model": model, "threads": threads, **{k: round(v) for k, v in rate.items()}}
    return row | {
        f"of_{name}": round(rate["sweeper"] / rate[name], 3) for name in ("bare", "data_loader")
    }


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", default="data", help="folder with torchvision's MNIST")
    parser.add_argument("--models", nargs="+", default=["cnn", "lenet"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--override", nargs="*", default=[], help="further overrides for sweeper")
    parser.add_argument(
        "--json", type=Path, default=Path(tempfile.gettempdir()) / "throughput.json"
    )
    arguments = parser.parse_args()
    rows = [measure(m, t, arguments) for m in arguments.models for t in arguments.threads]
    print("images per second".ljust(18) + "".join(f"{k:>16}" for k in list(rows[0])[2:]))
    for row in rows:
        print(f"{row['model']}, {row['threads']} thread(s)".ljust(18), end="")
        print("".join(f"{value:>16,}" for value in list(row.values())[2:]))
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
