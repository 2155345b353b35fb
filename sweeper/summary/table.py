"""A table of a network's layers: shapes, parameters, multiply-adds, memory, receptive fields."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from sweeper.schema import ImageShape
from sweeper.summary.field import Pair
from sweeper.summary.memory import TrainingMemory, training_memory
from sweeper.summary.rows import Row, rows_of
from sweeper.text import aligned, binary_size


@dataclass(frozen=True)
class Summary:
    """The image and the layers in the order of their calls, with totals.

    `parameters` is the number of all parameters of the model; a shared one counts once.
    `trainable` is the number of those that are not frozen. `multiply_adds` is for one image, and
    includes convolutions, linear and recurrent layers, and the projections of an attention, but
    not its products of queries, keys and values, which papers count too. The rows are those of
    evaluation mode; `memory` is that of a training batch.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    memory: TrainingMemory

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of all layers for one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """The bytes of one image and of the outputs of all layers for it."""
        return sum(row.activation_bytes for row in self.rows)

    def table(self) -> str:
        """Return plain text: a line for each row, the totals, and the memory of a batch."""
        sizes = self.parameters, self.multiply_adds, self.memory.parameters, self.activation_bytes
        totals = [("total", "", "", *(f"{size:,}" for size in sizes), "", "")]
        if self.trainable < self.parameters:
            totals.append(("trainable", "", "", f"{self.trainable:,}", *[""] * 5))
        rows = [_cells(row) for row in self.rows]
        return aligned(_HEAD, rows, totals, left=2) + _training_memory_lines(self.memory)


@torch.no_grad()
def summarise(model: nn.Module, input_shape: ImageShape, batch_size: int) -> Summary:
    """Return the summary of a model for images of (C, H, W).

    A copy of the model runs on the meta device, which computes shapes but no values. If the
    forward pass depends on values, the copy runs on black images on the CPU instead; errors from
    there are raised. The model and the random number generators keep their state.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            return _summary(model, input_shape, batch_size, "meta")
        except (RuntimeError, TypeError, ValueError):  # meta tensors have no values to read
            return _summary(model, input_shape, batch_size, "cpu")


def _summary(model: nn.Module, input_shape: ImageShape, batch_size: int, device: str) -> Summary:
    replica = copy_to_device(model, device)
    rows = rows_of(replica.eval(), torch.zeros(1, *input_shape, device=device))
    memory = training_memory(replica, torch.zeros(batch_size, *input_shape, device=device))
    counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    trainable = sum(count for count, requires_grad in counts if requires_grad)
    return Summary(rows, sum(count for count, _ in counts), trainable, memory)


def copy_to_device(model: nn.Module, device: str) -> nn.Module:
    """Return a copy of the model on a device; each tensor is copied only once."""
    memo: dict[int, object] = {}
    for parameter in model.parameters():
        data = parameter.detach().to(device, copy=True)
        memo[id(parameter)] = nn.Parameter(data, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to(device, copy=True)
    return copy.deepcopy(model, memo)


_HEAD = (
    ("", "", "", "", "multiply-", "parameter", "activation", "receptive", ""),
    ("layer", "type", "output", "parameters", "adds", "bytes", "bytes", "field", "jump"),
)


def _cells(row: Row) -> tuple[str, ...]:
    size, jump = (_side(row.field.size), _side(row.field.jump)) if row.field else ("-", "-")
    shape = "x".join(map(str, row.output_shape))
    sizes = row.parameters, row.multiply_adds, row.parameter_bytes, row.activation_bytes
    return row.name, row.type, shape, *(f"{n:,}" for n in sizes), size, jump


def _side(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _training_memory_lines(memory: TrainingMemory) -> str:
    parameters, gradients, activations, total = map(
        binary_size, (memory.parameters, memory.gradients, memory.activations, memory.total)
    )
    return (
        f"\ntraining with batches of {memory.batch_size} images needs {total}, "
        "and memory for the state of the optimizer:\n"
        f"  {parameters} parameters + {gradients} gradients + {activations} activations saved for "
        "the backward pass\n"
    )
