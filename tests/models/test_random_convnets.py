"""Random networks, and what is reckoned about them, compared with torch's own layers.

A reference of plain torch layers is written down from the same arguments, one layer after another.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.models.convnet import ConvNet
from sweeper.summary.receptive_field import FieldTracker
from sweeper.summary.table import summarise

N_NETWORKS = 300
POOLS = {
    "max": (nn.MaxPool2d, nn.AdaptiveMaxPool2d),
    "average": (nn.AvgPool2d, nn.AdaptiveAvgPool2d),
}
ACTIVATIONS = {"relu": nn.ReLU, "none": None, "prelu": nn.PReLU, "hardswish": nn.Hardswish}


def sides(rng: random.Random, least: int, most: int) -> int | list[int]:
    draw = (rng.randint(least, most), rng.randint(least, most))
    return draw[0] if rng.random() < 0.6 else list(draw)


def one_or_each(rng: random.Random, count: int, draw: Callable[[], Any]) -> Any:
    """Draw one value for all layers, or a list with one for each; a pair for all is in a list."""
    if rng.random() < 0.5:
        return [draw() for _ in range(count)]
    value = draw()
    return [value] if isinstance(value, list) else value


def arguments_of(rng: random.Random) -> dict[str, Any]:
    n = rng.randint(1, 4)
    channels: list[Any] = [rng.choice([2, 4, 6, 8]) for _ in range(n)]
    for _ in range(rng.randint(0, 2)):
        channels.insert(rng.randint(0, len(channels)), "M")
    pools = channels.count("M") or n

    def padding() -> Any:
        return rng.choice(["same", "valid", sides(rng, 0, 2)])

    return {
        "channels": channels,
        "hidden": rng.choice([[], [5], [6, 4]]),
        "kernel_size": one_or_each(rng, n, lambda: sides(rng, 1, 5)),
        "stride": one_or_each(rng, n, lambda: sides(rng, 1, 2)),
        "padding": one_or_each(rng, n, padding),
        "dilation": one_or_each(rng, n, lambda: sides(rng, 1, 2)),
        "groups": one_or_each(rng, n, lambda: rng.choice([1, 1, 1, 2])),
        "bias": one_or_each(rng, n, lambda: rng.choice([True, False, "auto"])),
        "padding_mode": one_or_each(
            rng, n, lambda: rng.choice(["zeros", "reflect", "replicate", "circular"])
        ),
        "pooling": one_or_each(rng, pools, lambda: rng.choice(["max", "average"])),
        "pool_size": one_or_each(rng, pools, lambda: sides(rng, 1, 3)),
        "pool_stride": rng.choice([None, one_or_each(rng, pools, lambda: sides(rng, 1, 3))]),
        "pool_padding": one_or_each(rng, pools, lambda: rng.choice([0, 0, 0, 1])),
        "pool_ceil_mode": one_or_each(rng, pools, lambda: rng.choice([True, False])),
        "adaptive_pooling": rng.choice(["max", "average"]),
        "adaptive_pool_size": rng.choice([None, 1, sides(rng, 1, 4)]),
        "batch_norm": rng.choice([True, False]),
        "activation": rng.choice(list(ACTIVATIONS)),
    }


def values(value: Any, count: int) -> list[Any]:
    """One value for each layer, written out."""
    if not isinstance(value, list):
        return [value] * count
    return value * count if len(value) == 1 and isinstance(value[0], list) else value


def pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, list) else (value, value)


def convolution(c_in: int, c: int, row: dict[str, Any], batch_norm: bool) -> list[nn.Module]:
    kernel, stride, dilation = (pair(row[k]) for k in ("kernel_size", "stride", "dilation"))
    bias = not batch_norm if row["bias"] == "auto" else row["bias"]
    rest = {"dilation": dilation, "groups": row["groups"], "bias": bias}
    if row["padding"] != "same":
        padding = pair(0 if row["padding"] == "valid" else row["padding"])
        return [
            nn.Conv2d(c_in, c, kernel, stride, padding, padding_mode=row["padding_mode"], **rest)
        ]
    pads = {
        "zeros": nn.ZeroPad2d, "reflect": nn.ReflectionPad2d,
        "replicate": nn.ReplicationPad2d, "circular": nn.CircularPad2d,
    }  # fmt: skip
    (top, left) = ((k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True))
    (bottom, right) = (
        (k - 1) * d - before for k, d, before in zip(kernel, dilation, (top, left), strict=True)
    )
    pad = pads[row["padding_mode"]]((left, right, top, bottom))
    return [pad, nn.Conv2d(c_in, c, kernel, stride, **rest)]


CONV_KEYS = ("kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
POOL_KEYS = ("pooling", "pool_size", "pool_stride", "pool_padding", "pool_ceil_mode")


def reference(a: dict[str, Any], c_in: int) -> nn.Sequential:
    """The features as plain layers of torch."""
    channels, layers = a["channels"], []
    n = sum(c != "M" for c in channels)
    n_pools = channels.count("M") or n
    convs = iter(
        [
            dict(zip(CONV_KEYS, row, strict=True))
            for row in zip(*(values(a[k], n) for k in CONV_KEYS), strict=True)
        ]
    )
    pools = iter(zip(*(values(a[k], n_pools) for k in POOL_KEYS), strict=True))
    for c in channels:
        if c != "M":
            layers += convolution(c_in, c, next(convs), a["batch_norm"])
            layers += [nn.BatchNorm2d(c)] if a["batch_norm"] else []
            kind = ACTIVATIONS[a["activation"]]
            layers += [kind()] if kind else []
            c_in = c
        if c == "M" or "M" not in channels:
            kind, size, stride, padding, ceil = next(pools)
            size, stride = pair(size), pair(size if stride is None else stride)
            layers.append(POOLS[kind][0](size, stride, pair(padding), ceil_mode=ceil))
    if a["adaptive_pool_size"] is not None:
        layers.append(POOLS[a["adaptive_pooling"]][1](pair(a["adaptive_pool_size"])))
    return nn.Sequential(*layers)


def multiply_adds(model: nn.Module, images: Tensor) -> int:
    """Count one for each weight of the filter of each output, as the images pass through."""
    counts = []

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        filters = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
        counts.append(output[0].numel() * filters)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    model(images)
    return sum(counts)


@pytest.mark.parametrize("block", range(6))
def test_shapes_parameters_and_operations_are_those_of_torchs_layers(block) -> None:
    rng, n_built = random.Random(block), 0
    for _ in range(N_NETWORKS // 6):
        arguments = arguments_of(rng)
        shape = (rng.choice([2, 4]), rng.randint(6, 24), rng.randint(6, 24))
        try:
            plain = reference(arguments, shape[0])
            maps = plain(torch.zeros(2, *shape))
        except (RuntimeError, ValueError, AssertionError):
            with pytest.raises(ConfigError) as caught:
                ConvNet(shape, 10, **arguments)
            assert "; type " in str(caught.value)
            assert "\n" not in str(caught.value)
            continue
        n_built += 1
        model = ConvNet(shape, 10, **arguments)
        summary = summarise(model, shape, 2)
        flatten = next(i for i, row in enumerate(summary.rows) if row.type == "Flatten")
        before = summary.rows[flatten - 1].output_shape
        assert before == tuple(maps.shape[1:]), arguments
        sizes = [maps[0].numel(), *arguments["hidden"], 10]
        linear = [one * other for one, other in zip(sizes, sizes[1:], strict=False)]
        activation = sum(p.numel() for p in plain.parameters())
        slopes = len(arguments["hidden"]) * (arguments["activation"] == "prelu")
        assert summary.parameters == activation + sum(linear) + sum(sizes[1:]) + slopes, arguments
        expected = multiply_adds(plain, torch.zeros(1, *shape)) + sum(linear)
        assert summary.multiply_adds == expected, arguments
    assert n_built >= 15


SIDE = 160


def smooth_net(rng: random.Random) -> nn.Module:
    """A network in which every output has a gradient at the corners of its receptive field."""
    arguments = arguments_of(rng)
    arguments |= {"padding_mode": "zeros", "pooling": "average", "activation": "none", "groups": 1}
    arguments |= {"adaptive_pool_size": 1, "batch_norm": False, "hidden": [], "pool_padding": 0}
    model = ConvNet((1, SIDE, SIDE), 2, **arguments).features
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1.0)
    return model.double()


def test_the_receptive_field_is_where_the_gradient_is() -> None:
    rng, n_checked = random.Random(0), 0
    while n_checked < 60:
        try:
            model = smooth_net(rng)
        except ConfigError:
            continue
        images = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
        with FieldTracker(images) as tracker:
            output = model(images)
        field = tracker.field(output)
        assert field is not None
        middle = tuple(side // 2 for side in output.shape[2:])
        (gradient,) = torch.autograd.grad(output[0, 0, *middle], images)
        for axis, index in enumerate(middle):
            start = field.start[axis] + index * field.jump[axis]
            stop = start + field.size[axis]
            if start >= 0 and stop <= SIDE:  # else the padding hides a part of the patch
                pixels = gradient[0, 0].sum(dim=1 - axis).nonzero().flatten().tolist()
                assert (pixels[0], pixels[-1]) == (start, stop - 1)
                n_checked += 1
