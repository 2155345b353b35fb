"""Any classification model of torchvision, fitted to the data's channels, size and classes.

torchvision is imported inside the functions because it takes seconds to import, and other models
do not need it.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from pydantic import PositiveInt
from torch import nn

from sweeper.errors import ConfigError
from sweeper.text import near_names

# Nearly all of these networks halve the image five times, so their last stage needs 32 pixels.
# Many declare a minimum of 1, at which they run but cannot learn.
_SMALLEST_SIDE = 32
# Arguments that only some families have. Networks with auxiliary heads return tuples, so the heads
# are off. init_weights is explicit because torchvision warns otherwise; True is the initialisation
# of the papers.
_FAMILY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def torchvision_model(
    name: str,
    input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
    num_classes: PositiveInt,
) -> nn.Module:
    """Return the model of this name for this input shape (C, H, W) and number of classes.

    The model maps images (N, C, H, W) float to logits (N, num_classes) float. Vision
    transformers are built for the image size.

    Raises:
        ConfigError: the name is unknown, or the model cannot take images of this size.
    """
    models = _models_module(name)
    arguments = _size_arguments(name, input_shape[1:]) | _FAMILY_ARGUMENTS.get(name, {})
    with _construction_device(name):
        model: nn.Module = models.get_model(name, num_classes=num_classes, **arguments)
    model.to(torch.get_default_device())
    _set_input_channels(model, input_shape[0])
    return model


def min_image_size(name: str) -> int:
    """Return the smallest image side with which the model can learn.

    This is the minimum that torchvision declares, but at least 32. A vision transformer is built
    for the image size: its minimum is a multiple of the patch size, and at least two patches.

    Raises:
        ConfigError: the name is unknown.
    """
    models = _models_module(name)
    if name.startswith("vit_"):
        patch = _patch_size(name)
        return patch * max(2, -(-_SMALLEST_SIDE // patch))
    declared = models.get_model_weights(name).DEFAULT.meta["min_size"]
    return max(_SMALLEST_SIDE, *map(int, declared))


def _models_module(name: str) -> Any:
    """Return the module `torchvision.models`.

    Raises:
        ConfigError: it has no classification model of this name.
    """
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        near = near_names(name, names, cutoff=0.4) or names
        raise ConfigError(
            f"model.name={name} is not a classification model of torchvision; type one of "
            f"{', '.join(near)}"
        )
    return models


def _size_arguments(name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return the image size as an argument for transformers that are built for one size."""
    if name.startswith("vit_"):
        return {"image_size": _square_multiple(name, size, _patch_size(name))}
    if name.startswith("maxvit_"):  # windows of 7 after five halvings
        return {"input_size": (_square_multiple(name, size, 7 * 2**5),) * 2}
    return {}


def _construction_device(name: str) -> AbstractContextManager[object]:
    """Return the device context to build the model in: the default one, or the CPU.

    RegNets compute their widths with tensors, which need values even for a meta model.
    """
    return torch.device("cpu") if name.startswith("regnet_") else nullcontext()


def _patch_size(name: str) -> int:
    return int(name.rpartition("_")[2])


def _square_multiple(name: str, size: tuple[int, int], unit: int) -> int:
    height, width = size
    if height != width or height % unit:
        nearest = unit * max(1, round(max(size) / unit))
        raise ConfigError(
            f"model.name={name} takes square images with sides that are multiples "
            f"of {unit}, not {height}x{width}; type data.image_size={nearest}"
        )
    return height


def _set_input_channels(model: nn.Module, channels: int) -> None:
    """Replace the first convolution if it has another number of input channels."""
    name, old = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if old.in_channels != channels:
        new = nn.Conv2d(
            channels,
            old.out_channels,
            cast("tuple[int, int]", old.kernel_size),
            cast("tuple[int, int]", old.stride),
            cast("tuple[int, int]", old.padding),
            bias=old.bias is not None,
        )
        model.set_submodule(name, new)
