"""Milliseconds of a batch in the memory formats contiguous and channels_last, with their ratio.

    python benchmarks/memory_format.py [--device cpu] [--precision fp32] [--threads 1] [--json FILE]

A step trains one batch with Adam; an evaluation passes it through the network. The two formats take
turns, and the ratios are those of the medians. `trainer.channels_last=auto` rests on them.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from torch import Tensor, nn

from sweeper.build.choices import named_choices
from sweeper.build.recipe import Recipe
from sweeper.configs import CONFIGS
from sweeper.hydra_versions import COMPOSING

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CASES = (
    ("digits", 64, "model=cnn"),
    ("mnist", 64, "model=cnn"),
    ("mnist", 32, "model=cnn", "model.channels=[8,16]"),
    ("cifar10", 64, "model=cnn"),
    ("mnist", 64, "model=lenet"),
    ("mnist", 64, "model=lenet5"),
    ("cifar10", 64, "model=cifar_cnn", "model.width=0.5"),
    ("cifar10", 32, "model=vgg11", "model.width=0.25"),
    ("cifar10", 16, "model=alexnet", "model.width=0.25"),
    ("cifar10", 16, "model=resnet50"),
    ("digit_strings", 32, "model=crnn", "loss=ctc"),
    ("mnist", 64, "model=mlp"),
    ("cifar10", 64, "model=mlp"),
)
SAMPLE_SECONDS, SAMPLES = 0.05, 7


def network(data: str, batch_size: int, overrides: tuple[str, ...]) -> tuple[nn.Module, Tensor]:
    """Return the network of these overrides, and a batch of random images for it."""
    with initialize_config_dir(str(CONFIGS), **COMPOSING):
        typed = [f"data={data}", f"data.batch_size={batch_size}", *overrides]
        cfg = compose("config", typed, return_hydra_config=True)
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    recipe = Recipe.of(cfg, named_choices(cfg, choices))
    description = recipe.options.data_option.describe()
    adapter = recipe.options.unweighted_adapter(description.n_classes)
    model, _ = recipe.network(adapter, description.shape)
    return model, torch.randn(batch_size, *description.shape)


def steps(
    model: nn.Module, images: Tensor, layout: torch.memory_format, arguments: argparse.Namespace
) -> dict[str, Callable[[], object]]:
    """Return functions that train a copy of the network on a batch, and that evaluate it."""
    device = torch.device(arguments.device)
    own = copy.deepcopy(model).to(device, memory_format=layout)  # type: ignore[call-overload]
    batch = images.to(device).contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(own.parameters(), 1e-4, fused=True)
    half = arguments.precision == "bf16"

    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs: Tensor = own(batch)
        return outputs

    def train() -> None:
        own.train()
        forward().float().square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    @torch.inference_mode()
    def evaluate() -> None:
        own.eval()
        forward()

    return {"train": train, "evaluate": evaluate}


def seconds(step: Callable[[], object], n: int, device: str) -> float:
    """Return the time of a step; on a CPU that of the process, which others do not slow down."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    for _ in range(n):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - started) / n


def compare(one: Callable[[], object], other: Callable[[], object], device: str) -> list[float]:
    """Return the median milliseconds of two steps that take turns."""
    for step in (one, other, one, other):
        once = seconds(step, 1, device)
    n = max(1, int(SAMPLE_SECONDS / max(once, 1e-6)))
    samples = [(seconds(one, n, device), seconds(other, n, device)) for _ in range(SAMPLES)]
    return [1000 * statistics.median(column) for column in zip(*samples, strict=True)]


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = {}
    for data, batch_size, *overrides in CASES:
        model, images = network(str(data), int(batch_size), tuple(map(str, overrides)))
        made = [steps(model, images, layout, arguments) for layout in FORMATS.values()]
        for kind in ("train", "evaluate"):
            first, last = compare(made[0][kind], made[1][kind], arguments.device)
            key = f"{data}, {batch_size} images, {' '.join(map(str, overrides))}, {kind}"
            results[key] = {"contiguous_ms": first, "channels_last_ms": last}
            print(f"{key:66} {first:8.2f} {last:8.2f} ms {first / last:6.2f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
