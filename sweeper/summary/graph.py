"""The graph of a network: its layers and how their outputs flow into each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.weak import WeakTensorKeyDictionary

from sweeper.schema import ImageShape
from sweeper.summary.calls import Calls, tensors_in
from sweeper.summary.feature_maps import ACTIVATIONS, BETWEEN
from sweeper.summary.table import copy_to_device

Kind = Literal["image", "conv", "pool", "linear", "join", "other"]


@dataclass(frozen=True)
class Node:
    """A call of a layer, with the norm, activation and dropout that follow it, or of a function.

    `title` says what it computes, and `name` is that of the first layer in it. `shape` is that of
    the output for one image. `inputs` are the positions of the nodes whose outputs it takes, which
    come before it in the graph.
    """

    title: str
    name: str
    shape: tuple[int, ...]
    parameters: int
    kind: Kind
    inputs: tuple[int, ...]
    follows: bool = False
    """True for a norm, an activation or a dropout."""


@torch.no_grad()
def graph_of(model: nn.Module, input_shape: ImageShape) -> tuple[Node, ...]:
    """Return the graph of a model for an image of (C, H, W); the image is its first node.

    A copy of the model runs in evaluation mode, on the meta device, or on the CPU if its forward
    pass depends on values. The model and the random number generators keep their state.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            return _merged(_recorded(model, input_shape, "meta"))
        except (RuntimeError, TypeError, ValueError):  # meta tensors have no values to read
            return _merged(_recorded(model, input_shape, "cpu"))


def _recorded(model: nn.Module, input_shape: ImageShape, device: str) -> list[Node]:
    replica = copy_to_device(model, device).eval()
    image = torch.zeros(1, *input_shape, device=device)
    recorder = _Recorder(image)
    names = {layer: name for name, layer in replica.named_modules() if _is_leaf(layer)}
    for layer, name in names.items():
        layer.register_forward_pre_hook(recorder.enter, with_kwargs=True)
        layer.register_forward_hook(recorder.leaving(name), with_kwargs=True)
    with recorder:
        outputs = replica.forward(image)  # a compiled call would skip the hooks
    return recorder.leading_to(outputs)


def _is_leaf(layer: nn.Module) -> bool:
    return not list(layer.children()) or isinstance(layer, nn.MultiheadAttention)


class _Recorder(Calls):
    """The nodes so far, and the node that each tensor comes from."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.nodes = [Node("image", "", tuple(image.shape[1:]), 0, "image", ())]
        self._source: Any = WeakTensorKeyDictionary({image: 0})
        self._inputs: list[tuple[int, ...]] = []
        """The inputs of the layers that are running; functions inside of them are not recorded."""
        self._counted: set[nn.Module] = set()

    def enter(self, layer: nn.Module, args: Any, kwargs: Any) -> None:
        self._inputs.append(self._sources([*args, *kwargs.values()]))

    def leaving(self, name: str) -> Callable[..., None]:
        """Return the forward hook of the layer of this name."""

        def leave(layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            inputs = self._inputs.pop()
            if self._inputs or not inputs:
                return
            if isinstance(layer, nn.Identity):
                self._assign(output, inputs[0])
                return
            parameters = [] if layer in self._counted else list(layer.parameters())
            self._counted.add(layer)
            count = sum(parameter.numel() for parameter in parameters)
            self._add(_title(layer), name, count, _kind(layer), inputs, output, _follows(layer))

        return leave

    def call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self._inputs:
            return func(*args, **kwargs)
        inputs = self._sources([*args, *kwargs.values()])
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if len(inputs) == 1 and name in _UNSEEN:
            self._assign(output, inputs[0])
        elif inputs and list(tensors_in([output])):
            follows = func in ACTIVATIONS or func in BETWEEN
            kind: Kind = "join" if len(inputs) > 1 else "other"
            self._add(_JOINTS.get(name, name), "", 0, kind, inputs, output, follows)
        return output

    def leading_to(self, outputs: Any) -> list[Node]:
        """Return the nodes that the outputs depend on; others only read a value, say."""
        wanted = set(self._sources([outputs]))
        for position in range(len(self.nodes) - 1, -1, -1):
            wanted |= set(self.nodes[position].inputs) if position in wanted else set()
        kept = sorted(wanted | {0})
        place = {old: new for new, old in enumerate(kept)}
        return [
            replace(node, inputs=tuple(place[each] for each in node.inputs))
            for node in (self.nodes[position] for position in kept)
        ]

    def _sources(self, values: Sequence[Any]) -> tuple[int, ...]:
        """Return the nodes that the tensors among the values come from, each once."""
        found = (self._source.get(tensor) for tensor in tensors_in(values))
        return tuple(dict.fromkeys(node for node in found if node is not None))

    def _add(
        self,
        title: str,
        name: str,
        parameters: int,
        kind: Kind,
        inputs: tuple[int, ...],
        output: Any,
        follows: bool,
    ) -> None:
        shape = next((tuple(tensor.shape[1:]) for tensor in tensors_in([output])), ())
        self.nodes.append(Node(title, name, shape, parameters, kind, inputs, follows))
        self._assign(output, len(self.nodes) - 1)

    def _assign(self, output: Any, node: int) -> None:
        for tensor in tensors_in([output]):
            self._source[tensor] = node


_UNSEEN = frozenset(
    {
        *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "to"),
        *("permute", "transpose", "T", "getitem", "chunk", "split", "unbind", "expand", "detach"),
        *("clone", "expand_as", "float", "movedim", "get"),
    }
)
"""Functions that only select or arrange values."""

_JOINTS = {"add": "+", "iadd": "+", "radd": "+", "mul": "x", "imul": "x", "cat": "concatenate"}

_FOLLOWERS = tuple(
    f"torch.nn.modules.{name}"
    for name in ("activation", "batchnorm", "instancenorm", "normalization", "dropout")
)


def _follows(layer: nn.Module) -> bool:
    if isinstance(layer, nn.MultiheadAttention):
        return False
    return any(kind.__module__ in _FOLLOWERS for kind in type(layer).__mro__)


def _kind(layer: nn.Module) -> Kind:
    if isinstance(layer, _ConvNd):
        return "conv"
    if isinstance(layer, nn.Linear):
        return "linear"
    return "pool" if "Pool" in type(layer).__name__ else "other"


def _title(layer: nn.Module) -> str:
    """Return the type of a layer with its window, such as `Conv2d 3x3, stride 2`."""
    kind = "Conv2d" if isinstance(layer, nn.Conv2d) else type(layer).__name__
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return f"{kind} to {_by(layer.output_size)}"
    window = getattr(layer, "kernel_size", None)
    if window is None:
        return kind
    parts = [f"{kind} {_by(window)}"]
    usual = {"stride": 1 if isinstance(layer, _ConvNd) else window, "dilation": 1, "groups": 1}
    for name, value in usual.items():
        own = getattr(layer, name, value)
        if _by(own) != _by(value):
            parts.append(f"{name} {own if name == 'groups' else _by(own, square='{0}')}")
    return ", ".join(parts)


def _by(sides: Any, square: str = "{0}x{0}") -> str:
    sides = tuple(sides) if isinstance(sides, list | tuple) else (sides, sides)
    return square.format(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))


def _merged(nodes: list[Node]) -> tuple[Node, ...]:
    """Join each norm, activation and dropout to the node whose output it alone takes."""
    n_uses = [0] * len(nodes)
    for node in nodes:
        for position in node.inputs:
            n_uses[position] += 1
    merged: list[Node] = []
    place: dict[int, int] = {}
    for position, node in enumerate(nodes):
        before = node.inputs[0] if len(node.inputs) == 1 else 0
        if node.follows and before and n_uses[before] == 1 and node.shape == nodes[before].shape:
            first = merged[place[before]]
            merged[place[before]] = replace(
                first,
                title=f"{first.title}, {node.title}",
                parameters=first.parameters + node.parameters,
            )
            place[position] = place[before]
        else:
            inputs = tuple(dict.fromkeys(place[each] for each in node.inputs))
            place[position] = len(merged)
            merged.append(replace(node, inputs=inputs))
    return tuple(merged)
