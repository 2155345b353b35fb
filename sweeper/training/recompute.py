"""Activation checkpointing: recompute activations in the backward pass instead of keeping them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute_activations(model: nn.Module) -> int:
    """Make every block of `model` recompute its activations; return the number of blocks.

    A block is a child of an `nn.Sequential` that has children itself, such as a residual block or
    a convolution with its activation. The results equal those of plain training: dropout draws the
    same masks again, and batch norm counts each batch once.
    """
    blocks: list[nn.Module] = []
    covered: set[nn.Module] = set()  # modules of the blocks so far: nothing is recomputed twice
    for sequence in model.modules():
        if not isinstance(sequence, nn.Sequential) or sequence in covered:
            continue
        for block in sequence:
            if list(block.children()) and not _holds_blocks(block):
                blocks.append(block)
                covered.update(block.modules())
    for block in blocks:
        block.forward = partial(_checkpointed, block.forward, block)
    return len(blocks)


def _holds_blocks(module: nn.Module) -> bool:
    """Return whether a module is a sequence of blocks, and thus no block itself."""
    return isinstance(module, nn.Sequential) and any(list(child.children()) for child in module)


def _checkpointed(forward: Any, block: nn.Module, *inputs: Any) -> Any:
    if not block.training:
        return forward(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(block)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep batch norm from adding the recomputed batch to its running statistics again."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(m.momentum, _copy(m.num_batches_tracked)) for m in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None and count is not None:
                norm.num_batches_tracked.copy_(count)


def _copy(count: Tensor | None) -> Tensor | None:
    return None if count is None else count.clone()
