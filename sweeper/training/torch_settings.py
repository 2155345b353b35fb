"""The settings of torch that hold for the whole process."""

from functools import cache

import torch

from sweeper.training.freed_memory import keep_freed_memory
from sweeper.training.settings import TrainerSettings


@cache
def _default_threads() -> int:
    """Return the number of threads that this process had before its first run."""
    return torch.get_num_threads()


def configure_torch(trainer: TrainerSettings) -> None:
    """Set threads, determinism, precision and memory of this process as the trainer wants them."""
    keep_freed_memory()
    torch.set_num_threads(trainer.threads or _default_threads())
    warns = torch.is_deterministic_algorithms_warn_only_enabled()  # a caller may have set it
    if warns or torch.are_deterministic_algorithms_enabled() != trainer.deterministic:
        torch.use_deterministic_algorithms(trainer.deterministic)  # imports torch._inductor
    torch.backends.cudnn.benchmark = not trainer.deterministic
    torch.autograd.set_detect_anomaly(trainer.detect_anomaly)
    torch.set_float32_matmul_precision("high")
