"""A table of a network's layers: shapes, parameters, multiply-adds, receptive fields."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from sweeper.models.receptive_field import Field, FieldTracker, Pair


@dataclass(frozen=True)
class Row:
    """One call of one layer; shapes without the batch, multiply-adds for one image."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: Field | None


@dataclass(frozen=True)
class Summary:
    """The layers in the order in which they run, and what they come to.

    `parameters` counts every parameter of the model once, including those of no single layer.
    `multiply_adds` counts convolutions, linear and recurrent layers, as papers do, for one image;
    products inside an attention are not counted.
    """

    rows: tuple[Row, ...]
    parameters: int

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    def table(self) -> str:
        """Plain text, one line a layer, totals last."""
        lines = [_HEAD, *(_cells(row) for row in self.rows)]
        lines.append(("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", "", ""))
        widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
        texts = [_aligned(line, widths) for line in lines]
        rule = "-" * max(map(len, texts))
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]]) + "\n"


@torch.no_grad()
def summarise(model: nn.Module, input_shape: tuple[int, int, int]) -> Summary:
    """The summary of `model` for images of (C, H, W); the model and the RNG stay as they are.

    Nothing is computed: a copy of the model without data runs on the meta device. A model whose
    forward depends on values cannot do that; it runs on one black image on the CPU instead, and
    what it raises there is raised.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            rows = _rows(model, input_shape, "meta")
        except (RuntimeError, TypeError, ValueError):  # it asks for values, which meta has not
            rows = _rows(model, input_shape, "cpu")
    return Summary(tuple(rows), sum(p.numel() for p in model.parameters()))


def _rows(model: nn.Module, input_shape: tuple[int, int, int], device: str) -> list[Row]:
    rows: list[Row] = []
    counted: set[nn.Module] = set()
    images = torch.zeros(1, *input_shape, device=device)
    tracker = FieldTracker(images)

    def record(name: str, layer: nn.Module, inputs: object, output: object) -> None:
        parameters = 0 if layer in counted else _own_parameters(layer)
        counted.add(layer)
        rows.extend(_row(name, layer, parameters, output, tracker))

    replica = _copy(model, device).eval()
    for name, layer in replica.named_modules():
        if not list(layer.children()) or _own_parameters(layer):
            layer.register_forward_hook(partial(record, name))
    with tracker:
        replica(images)
    return rows


def _copy(model: nn.Module, device: str) -> nn.Module:
    """A copy of the model on the device, made without copying its data there twice."""
    memo: dict[int, object] = {}
    for parameter in model.parameters():
        data = parameter.detach().to(device, copy=True)
        memo[id(parameter)] = nn.Parameter(data, requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to(device, copy=True)
    return copy.deepcopy(model, memo)


def _own_parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters(recurse=False))


def _row(
    name: str, layer: nn.Module, parameters: int, output: object, tracker: FieldTracker
) -> Iterator[Row]:
    """The row of a layer that returns a tensor, or a tuple that starts with one."""
    tensor = output[0] if isinstance(output, tuple) else output
    if isinstance(tensor, Tensor):
        shape = tuple(tensor.shape[1:])
        multiply_adds = _multiply_adds(layer, tensor)
        field = tracker.field(tensor)
        yield Row(name, type(layer).__name__, shape, parameters, multiply_adds, field)


def _multiply_adds(layer: nn.Module, output: Tensor) -> int:
    """Each output value takes one multiplication and addition a weight of its filter."""
    if isinstance(layer, _ConvNd | nn.Linear):
        return output.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.RNNBase):  # every weight is used once a time step
        weights = sum(p.numel() for p in layer.parameters() if p.ndim > 1)
        return output.numel() // output.shape[-1] * weights
    return 0


_HEAD = ("layer", "type", "output", "parameters", "multiply-adds", "receptive field", "jump")


def _cells(row: Row) -> tuple[str, ...]:
    size, jump = (_side(row.field.size), _side(row.field.jump)) if row.field else ("-", "-")
    shape = "x".join(map(str, row.output_shape))
    counts = f"{row.parameters:,}", f"{row.multiply_adds:,}"
    return row.name or "(model)", row.type, shape, *counts, size, jump


def _side(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """Names to the left, numbers to the right."""
    texts = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(texts).rstrip()
