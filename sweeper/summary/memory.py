"""The memory that a network takes in training, counted without training it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes held between the forward and the backward pass of one batch.

    `gradients` counts the parameters that are not frozen once more. `activations` is what
    autograd keeps for the backward pass; see `kept_bytes`. What comes on top is not counted: the
    optimizer's own state, averaged weights, the gradients of activations while they pass
    through, and what convolutions work in. Mixed precision keeps less.
    """

    batch_size: int
    parameters: int
    gradients: int
    activations: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.activations


def training_memory(model: nn.Module, images: Tensor) -> TrainingMemory:
    """What training `model` on a batch of images (N, C, H, W) takes; the model sees the batch."""
    return TrainingMemory(
        batch_size=len(images),
        parameters=sum(p.nbytes for p in model.parameters()),
        gradients=sum(p.nbytes for p in model.parameters() if p.requires_grad),
        activations=kept_bytes(model, images),
    )


def kept_bytes(model: nn.Module, images: Tensor) -> int:
    """The bytes that autograd saves in the forward pass of a batch, in training mode.

    Each storage counts once: outputs of layers, the images themselves, the int64 indices of max
    poolings, the masks of dropout, the statistics of batch norm; not parameters and buffers. So
    an activation in place adds nothing, and one that is recomputed is not kept.
    """
    kept: set[torch.UntypedStorage] = set()

    def keep(tensor: Tensor) -> Tensor:
        kept.add(tensor.untyped_storage())
        return tensor

    model.train()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        model(images)
    own = {tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for storage in kept - own)
