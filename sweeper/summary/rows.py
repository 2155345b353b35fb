"""The layers of a network as they run, with what each comes to."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from sweeper.summary.field import Field
from sweeper.summary.receptive_field import FieldTracker


@dataclass(frozen=True)
class Row:
    """One call of one layer, for one image; shapes are without the batch.

    `activation_bytes` is the memory that its output takes: none where it works in place, or
    shows an earlier output in another shape.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    parameter_bytes: int
    activation_bytes: int
    field: Field | None


def layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of what a summary lists: what holds no other module, or parameters."""
    for name, layer in model.named_modules():
        if not list(layer.children()) or list(layer.parameters(recurse=False)):
            yield name, layer


def rows_of(model: nn.Module, image: Tensor) -> tuple[Row, ...]:
    """The image (1, C, H, W) and the layers in the order in which they run on it."""
    recorder = _Recorder(image)
    hooks = [
        layer.register_forward_hook(partial(recorder.record, name)) for name, layer in layers(model)
    ]
    with recorder.tracker:
        model(image)
    for hook in hooks:
        hook.remove()
    return tuple(recorder.rows)


class _Recorder:
    """Takes down the layers as they return, the image first."""

    def __init__(self, image: Tensor) -> None:
        shape = tuple(image.shape[1:])
        self.tracker = FieldTracker(image)
        self.rows = [Row("image", "", shape, 0, 0, 0, image.nbytes, Field())]
        self._counted: set[nn.Module] = set()
        self._held = {image.untyped_storage()}

    def record(self, name: str, layer: nn.Module, inputs: object, output: object) -> None:
        """Add the row of a layer that returns a tensor, or a tuple that starts with one."""
        tensor = output[0] if isinstance(output, tuple) else output
        if not isinstance(tensor, Tensor):
            return
        own = [] if layer in self._counted else list(layer.parameters(recurse=False))
        storage = tensor.untyped_storage()
        self.rows.append(
            Row(
                name=name or "(model)",
                type=type(layer).__name__,
                output_shape=tuple(tensor.shape[1:]),
                parameters=sum(parameter.numel() for parameter in own),
                multiply_adds=_multiply_adds(layer, tensor),
                parameter_bytes=sum(parameter.nbytes for parameter in own),
                activation_bytes=0 if storage in self._held else storage.nbytes(),
                field=self.tracker.field(tensor),
            )
        )
        self._counted.add(layer)
        self._held.add(storage)


def _multiply_adds(layer: nn.Module, output: Tensor) -> int:
    """Each output value takes one multiplication and addition a weight of its filter."""
    if isinstance(layer, _ConvNd | nn.Linear):
        return output.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.RNNBase):  # every weight is used once a time step
        weights = sum(p.numel() for p in layer.parameters() if p.ndim > 1)
        return output.numel() // output.shape[-1] * weights
    return 0
