"""The layers of a network in the order of their calls, with shapes, sizes and operations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from sweeper.summary.calls import Calls
from sweeper.summary.field import Field
from sweeper.summary.receptive_field import FieldTracker

_MODEL = "(model)"
"""The name of the whole model in a row."""


@dataclass(frozen=True)
class Row:
    """One call of a layer for one image; shapes leave out the batch dimension.

    The parameters are those of the layer, at its first call, and those below it that have no row:
    an attention uses the weights of layers that it does not call.
    `activation_bytes` is the memory of the output: 0 if the layer works in place, or returns a
    view of an earlier output. `field` is None where the receptive field is unknown.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    parameter_bytes: int
    activation_bytes: int
    field: Field | None


def named_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of each layer: it has no submodules, or parameters of its own."""
    for name, layer in model.named_modules():
        if not list(layer.children()) or list(layer.parameters(recurse=False)):
            yield name, layer


def rows_of(model: nn.Module, image: Tensor) -> tuple[Row, ...]:
    """Return a row for the image, and one for each call of a layer on it, in their order.

    image: (1, C, H, W) float.
    """
    recorder = _Recorder(image)
    hooks = [
        layer.register_forward_hook(partial(recorder.record, name))
        for name, layer in named_layers(model)
    ]
    with recorder.tracker, recorder.linear:
        model(image)
    for hook in hooks:
        hook.remove()
    return _with_parameters(recorder.rows, model)


def _with_parameters(rows: Sequence[Row], model: nn.Module) -> tuple[Row, ...]:
    """Return the rows with each parameter in that of its layer, or of the nearest one around it."""
    first = {row.name: i for i, row in reversed([*enumerate(rows)][1:])}
    seen: set[nn.Parameter] = set()
    counted = list(rows)
    for name, layer in model.named_modules():
        own = set(layer.parameters(recurse=False)) - seen
        seen |= own
        while name and name not in first:
            name = name.rpartition(".")[0]
        if own and (place := first.get(name or _MODEL)) is not None:
            row = counted[place]
            counted[place] = replace(
                row,
                parameters=row.parameters + sum(each.numel() for each in own),
                parameter_bytes=row.parameter_bytes + sum(each.nbytes for each in own),
            )
    return tuple(counted)


class _LinearCalls(Calls):
    """A context that counts the multiply-adds of `linear`, which not only `nn.Linear` calls.

    The attention of a Swin transformer calls it with the weights of layers that it does not call.
    """

    def __init__(self) -> None:
        super().__init__()
        self._multiply_adds = 0

    def call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        output = func(*args, **kwargs)
        if func is functional.linear:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self._multiply_adds += output.numel() * weight.shape[-1]
        return output

    def pop(self) -> int:
        """Return the multiply-adds since the last call of this method."""
        count, self._multiply_adds = self._multiply_adds, 0
        return count


class _Recorder:
    """The rows so far, without parameters; `record` is a forward hook that adds one."""

    def __init__(self, image: Tensor) -> None:
        shape = tuple(image.shape[1:])
        self.tracker = FieldTracker(image)
        self.linear = _LinearCalls()
        self.rows = [Row("image", "", shape, 0, 0, 0, image.nbytes, Field())]
        self._storages = {image.untyped_storage()}

    def record(self, name: str, layer: nn.Module, inputs: object, output: object) -> None:
        """Add a row if the layer returned a tensor, or a tuple that starts with one."""
        tensor = output[0] if isinstance(output, tuple) else output
        if not isinstance(tensor, Tensor):
            return
        storage = tensor.untyped_storage()
        self.rows.append(
            Row(
                name=name or _MODEL,
                type=type(layer).__name__,
                output_shape=tuple(tensor.shape[1:]),
                parameters=0,
                multiply_adds=self.linear.pop() + _multiply_adds(layer, inputs, tensor),
                parameter_bytes=0,
                activation_bytes=0 if storage in self._storages else storage.nbytes(),
                field=self.tracker.field(tensor),
            )
        )
        self._storages.add(storage)


def _multiply_adds(layer: nn.Module, inputs: object, output: Tensor) -> int:
    """Return the number of multiply-adds, without those of `linear`.

    A convolution has one for each weight of the filter of each output. In a transposed convolution
    each input has a filter.
    """
    if isinstance(layer, _ConvTransposeNd) and isinstance(inputs, tuple):
        return int(inputs[0].numel()) * layer.weight[0].numel()
    if isinstance(layer, _ConvNd):
        return output.numel() * layer.weight[0].numel()
    # Neither shows a call of `linear`. Every weight is used once in each time step or token.
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
        weights = sum(p.numel() for p in layer.parameters() if p.ndim > 1)
        return output.numel() // output.shape[-1] * weights
    return 0
