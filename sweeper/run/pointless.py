"""Values that are legal and cannot be meant: a line for each, before the training."""

from collections.abc import Iterator
from functools import partial

from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sweeper.text import epochs_text
from sweeper.training.experiment import Experiment
from sweeper.training.stopping import patience

LARGE_LR = 10.0
"""A learning rate above it is larger than any that is in use."""


def pointless_lines(experiment: Experiment) -> Iterator[str]:
    """Yield what is wrong with the batch size, the learning rate, the patience and the kernels."""
    data = experiment.data
    n_train = data.sizes["train"]
    if data.batch_size > n_train:
        yield (
            f"data.batch_size={data.batch_size}: there are {n_train} training images, so an epoch "
            f"is a single batch; type data.batch_size={max(1, n_train // 10)} or less"
        )
    lr = experiment.updates.lr
    if lr > LARGE_LR:
        yield f"optimizer.lr={lr:g}: is a very high learning rate; type a value such as 0.01"
    yield from _patience_lines(experiment)
    yield from _kernel_lines(experiment.model, min(data.profile.input_shape[1:]))


def _patience_lines(experiment: Experiment) -> Iterator[str]:
    """Yield a line if the run stops as soon as the learning rate is lowered, or sooner."""
    rule, scheduler = experiment.stopping, experiment.updates.schedule.scheduler
    if not (isinstance(rule, partial) and rule.func is patience):
        return
    if not isinstance(scheduler, ReduceLROnPlateau):
        return
    stops, lowers = rule.keywords["patience"], scheduler.patience + 1
    if stops <= lowers:
        yield (
            f"stopping.patience={stops}: the run stops after {epochs_text(stops)} without "
            "improvement, so no epoch is trained with the lower rate, which "
            f"scheduler.patience={scheduler.patience} sets after {lowers}; "
            f"type stopping.patience={2 * lowers}"
        )


def _kernel_lines(model: nn.Module, side: int) -> Iterator[str]:
    """Yield a line for the largest kernel if it is more than twice as large as the image."""
    kernels = [
        (max(module.kernel_size), name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    largest, name = max(kernels, default=(0, ""))
    if largest > 2 * side:
        yield (
            f"the kernel of {name} has {largest} pixels, and the images have {side}: most of it "
            f"sees nothing but padding; type a kernel of at most {side} pixels"
        )
