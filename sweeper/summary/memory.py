"""The memory that a network needs in training, computed without training it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes held between the forward and the backward pass of one batch.

    `gradients` are those of the parameters that are not frozen. `activations` are the tensors
    that autograd saves for the backward pass; see `saved_bytes`. Not counted are the state of the
    optimizer, averaged weights, gradients of activations, and the workspace of convolutions.
    Mixed precision needs less.
    """

    batch_size: int
    parameters: int
    gradients: int
    activations: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.activations


def training_memory(model: nn.Module, images: Tensor) -> TrainingMemory:
    """Return the memory for a training batch; runs the model on it.

    images: (N, C, H, W) float.
    """
    return TrainingMemory(
        batch_size=len(images),
        parameters=sum(p.nbytes for p in model.parameters()),
        gradients=sum(p.nbytes for p in model.parameters() if p.requires_grad),
        activations=saved_bytes(model, images),
    )


def saved_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the bytes that autograd saves in the forward pass of a batch in training mode.

    images: (N, C, H, W) float. Each storage counts once: outputs of layers, the images, the int64
    indices of max poolings, the masks of dropout, and the statistics of batch norm. Parameters
    and buffers do not count. An activation in place therefore adds nothing, nor does one that is
    recomputed in the backward pass.
    """
    saved: set[torch.UntypedStorage] = set()

    def pack(tensor: Tensor) -> Tensor:
        saved.add(tensor.untyped_storage())
        return tensor

    model.train()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        model(images)
    own = {tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for storage in saved - own)
