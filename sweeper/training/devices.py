"""The device of a run, and the autocast context of its precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from sweeper.errors import ConfigError

AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def available_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is the first available one of cuda, mps and cpu.

    Raises:
        ConfigError: this machine has no such device.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    available[:0] = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name == "auto":
        return torch.device(available[0])
    if name in available or (name == "cuda" and "cuda:0" in available):
        return torch.device(name)
    raise ConfigError(
        f"trainer.device={name}: this machine has no such device; choose one of auto, "
        + ", ".join(available)
    )


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """Return a function that creates the autocast context for the network's forward pass.

    Raises:
        ConfigError: the device cannot train in this precision.
    """
    if precision == "fp32":
        return nullcontext
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError(
            "trainer.precision=fp16 needs a GPU: type trainer.precision=bf16 or fp32 on the CPU"
        )
    return partial(torch.autocast, device.type, dtype=AUTOCAST_TYPES[precision])
