"""What a run prints before it trains: the options, then what was built of them.

The first part follows from the config alone, so it is printed before torch is imported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.text import named_rows, plural

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sweeper.summary.table import Summary
    from sweeper.training.experiment import Experiment

NOT_SHOWN = ("none", "default", None)
"""Options that add nothing to a run."""

ALWAYS_SHOWN = ("model", "data", "optimizer", "loss")
OTHERS = ("scheduler", "init", "stopping", "trainer", "experiment")
SPLITS = {"train": "for training", "val": "for validation", "test": "for the test"}
"""The splits in the order in which they are used, and what for."""


def config_text(cfg: "DictConfig", choices: Mapping[str, Any], folder: Path) -> str:
    """Return what the config says of a run: options, epochs and batches, and the folder."""
    names = [name for name in ALWAYS_SHOWN if name in choices]
    names += [name for name in OTHERS if choices.get(name) not in NOT_SHOWN]
    rows = [
        ("run", " ".join(f"{name}={choices[name]}" for name in names)),
        ("training", ", ".join(_training(cfg))),
        ("folder", str(folder)),
    ]
    return named_rows(rows)


def _training(cfg: "DictConfig") -> Iterator[str]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    texts: dict[str, Callable[[Any], str]] = {
        "trainer.epochs": lambda n: plural(_as_typed(n), "epoch"),
        "data.batch_size": lambda n: f"batches of {_as_typed(n):,}",
        "optimizer.lr": lambda rate: f"learning rate {rate}",
    }
    for key, text in texts.items():
        try:
            value = OmegaConf.select(cfg, key)
        except OmegaConfBaseException:
            continue  # the check of the values says more
        if isinstance(value, int | float):
            yield text(value)


def _as_typed(number: Any) -> Any:
    """Return a whole number as an integer: `1e3` is a float of the config."""
    return int(number) if float(number).is_integer() else number


def built_text(experiment: "Experiment", summary: "Summary") -> str:
    """Return what was built: the sizes of data and network, and the device with its threads."""
    import torch

    data, profile = experiment.data, experiment.data.profile
    sizes = [f"{n:,} {SPLITS[name]}" for name, n in _in_order(data.sizes)]
    frozen = summary.parameters - summary.trainable
    network = f"{summary.parameters:,} parameters" + (f", {frozen:,} frozen" if frozen else "")
    device = str(experiment.device)
    if experiment.device.type == "cpu":
        device += f" with {plural(torch.get_num_threads(), 'thread')}"
    rows = [
        ("images", ", ".join(sizes)),
        ("", f"{_shape(profile.input_shape)}, {len(profile.classes)} classes"),
        ("network", f"{network}, {summary.multiply_adds:,} multiply-adds for an image"),
        ("device", f"{device}, {experiment.trainer.precision}"),
    ]
    return named_rows(rows)


def _in_order(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(name, sizes[name]) for name in SPLITS if name in sizes]


def _shape(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} pixels, {plural(channels, 'channel')}"
