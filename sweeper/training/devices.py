"""Devices and precisions."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from sweeper.errors import ConfigError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def available_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is the first of cuda, mps and cpu there is.

    Raises:
        ConfigError: there is no such device on this machine.
    """
    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    present[:0] = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name == "auto":
        return torch.device(present[0])
    if name in present or (name == "cuda" and "cuda:0" in present):
        return torch.device(name)
    raise ConfigError(
        f"trainer.device={name}: there is no such device here; choose one of auto, "
        + ", ".join(present)
    )


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """Return a factory of the context that the network runs in.

    Raises:
        ConfigError: the device cannot train in this precision.
    """
    if precision == "fp32":
        return nullcontext
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError(
            "trainer.precision=fp16 needs a GPU: use trainer.precision=bf16 or fp32 on the CPU"
        )
    return partial(torch.autocast, device.type, dtype=PRECISIONS[precision])
