"""Layers that several models share: activations by name, convolutions, and blocks of them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import activation

from sweeper.errors import ConfigError
from sweeper.models.geometry import Conv, Pool
from sweeper.schema import checked
from sweeper.text import near_names

T = TypeVar("T")

NONE = "none"
_UNFIT = ("MultiheadAttention", "GLU", "Threshold", "Softmin", "Softmax", "Softmax2d", "LogSoftmax")
"""Modules beside torch's activations that do not map each value on its own, or need arguments."""

# In place where autograd allows it, to save memory: nothing reads the pre-activation again.
_IN_PLACE = (nn.ReLU, nn.LeakyReLU)


def _activations() -> dict[str, type[nn.Module]]:
    """Return torch's activations by the names that they go by in an option, such as leaky_relu."""
    names = [name for name in activation.__all__ if name not in _UNFIT]
    functions = {name.replace("_", ""): name for name in dir(F) if not name.endswith("_")}
    return {functions.get(name.lower(), name.lower()): getattr(activation, name) for name in names}


ACTIVATIONS = _activations()
"""Every activation of `torch.nn` by the name of its function in `torch.nn.functional`."""


def _known_activation(value: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return an activation with the name that it has in an option, and with checked arguments."""
    if isinstance(value, str):
        return _known_name(value)
    arguments = dict(value)
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise ValueError("a name and arguments, such as {name: leaky_relu, negative_slope: 0.2}")
    known = _known_name(name)
    return {"name": known, **checked("model.activation", _kind(known), arguments)}


def _kind(name: str) -> type[nn.Module]:
    return nn.Identity if name == NONE else ACTIVATIONS[name]


def _known_name(name: str) -> str:
    """Return the option's name of an activation; the name of the class is accepted too."""
    plain = {known.replace("_", ""): known for known in (*ACTIVATIONS, NONE)}
    found = plain.get(name.lower().replace("_", ""))
    if found is None:
        near = near_names(name.lower(), [*ACTIVATIONS, NONE]) or [*ACTIVATIONS, NONE]
        raise ValueError(f"an activation of torch.nn, such as {', '.join(near)}")
    return found


Activation = Annotated[str | dict[str, Any], AfterValidator(_known_activation)]
"""The name of an activation of `torch.nn`, or `none`; or a mapping with `name` and arguments."""


def make_activation(activation: Activation) -> nn.Module:
    """Return a new activation layer, which may work in place; `none` gives an identity."""
    named = {"name": activation} if isinstance(activation, str) else activation
    arguments = {key: value for key, value in named.items() if key != "name"}
    kind = _kind(named["name"])
    # Autograd allows a leaky ReLU to work in place only if its slope is positive, as by default.
    return kind(inplace=True) if kind in _IN_PLACE and not arguments else kind(**arguments)


def activation_layers(activation: Activation) -> list[nn.Module]:
    """Return a new activation as a list of layers, which is empty for `none`."""
    return [] if activation == NONE else [make_activation(activation)]


class UnevenConv2d(nn.Conv2d):
    """A convolution whose padding is not the same on opposite sides of the image.

    An even kernel needs it for an output of ceil(size / stride). `nn.Conv2d(padding="same")`
    allows no stride and warns about even kernels.
    """

    def __init__(self, in_channels: int, conv: Conv) -> None:
        super().__init__(
            in_channels,
            conv.channels,
            conv.kernel_size,
            conv.stride,
            dilation=conv.dilation,
            groups=conv.groups,
            bias=conv.bias,
        )
        (top, bottom), (left, right) = conv.paddings
        self._padding = (left, right, top, bottom)
        self._mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode

    def forward(self, input: Tensor) -> Tensor:
        """Return maps (N, out_channels, H', W') of (N, C, H, W)."""
        return super().forward(F.pad(input, self._padding, self._mode))


def convolution(in_channels: int, conv: Conv) -> nn.Conv2d:
    """Return the layer of a convolution."""
    (top, bottom), (left, right) = conv.paddings
    if (top, left) != (bottom, right):
        return UnevenConv2d(in_channels, conv)
    return nn.Conv2d(
        in_channels,
        conv.channels,
        conv.kernel_size,
        conv.stride,
        (top, left),
        conv.dilation,
        conv.groups,
        conv.bias,
        conv.padding_mode,
    )


def pooling_layer(pool: Pool) -> nn.Module:
    """Return the layer of a pooling."""
    kind = nn.MaxPool2d if pool.kind == "max" else nn.AvgPool2d
    return kind(pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)


def conv_block(
    in_channels: int, conv: Conv, batch_norm: bool, activation: Activation
) -> list[nn.Module]:
    """Return a convolution, a batch norm if `batch_norm` is true, and an activation."""
    norm = [nn.BatchNorm2d(conv.channels)] if batch_norm else []
    return [convolution(in_channels, conv), *norm, *activation_layers(activation)]


class ConvBlock(nn.Sequential):
    """A convolution and the layers that follow it.

    In training, a max pooling runs before the ReLU in front of it, which then has fewer values to
    map. The largest of several values is the same one before and after ReLU, so the outputs and
    the gradients are the same to the bit.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return maps (N, out_channels, H', W') of (N, C, H, W)."""
        layers = list(self)
        if self.training:
            for n in range(1, len(layers)):
                if type(layers[n - 1]) is nn.ReLU and isinstance(layers[n], nn.MaxPool2d):
                    layers[n - 1 : n + 1] = layers[n], layers[n - 1]
        for layer in layers:
            input = layer(input)
        return input


def conv_blocks(
    in_channels: int,
    layers: Sequence[Any],
    make_pool: Callable[[Any], nn.Module],
    batch_norm: bool,
    activation: Activation,
) -> nn.Sequential:
    """Return a block for each convolution, with the poolings that follow it.

    Each of `layers` is a `Conv`, or a pooling in any form that `make_pool` turns into a module.
    """
    blocks: list[list[nn.Module]] = []
    for layer in layers:
        if isinstance(layer, Conv):
            blocks.append(conv_block(in_channels, layer, batch_norm, activation))
            in_channels = layer.channels
        else:
            blocks = blocks or [[]]
            blocks[-1].append(make_pool(layer))
    return nn.Sequential(*(ConvBlock(*block) for block in blocks))


def per_layer(name: str, value: T | list[T], count: int, kind: str = "convolution") -> list[T]:
    """Return the value of the argument `name` for each of `count` layers.

    A list has one value for each layer. A list of one pair stands for all layers.

    Raises:
        ConfigError: a list has another length.
    """
    if not isinstance(value, list):
        return [value] * count
    if len(value) == 1 and isinstance(value[0], list):
        return value * count
    if len(value) != count:
        pair = f", or [{value}] for a height and a width of all" if len(value) == 2 else ""
        raise ConfigError(
            f"model.{name}={value} has {len(value)} values for the {count} {kind}s of "
            f"model.channels; type one value, or a list of {count}{pair}"
        )
    return value


def sides_of(value: Any) -> Any:
    """Return (height, width) of one number for both, or of a list of two; `valid` is 0.

    "same" has no sides, and is returned as it is.
    """
    if value == "same":
        return value
    if isinstance(value, list):
        return tuple(value)
    return (0, 0) if value == "valid" else (value, value)
