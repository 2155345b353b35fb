"""Any classification model of torchvision, fitted to the data's channels, size and classes.

torchvision is imported inside the functions: it costs seconds that no other model should pay.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from pydantic import PositiveInt
from torch import nn

from sweeper.errors import ConfigError
from sweeper.text import near_names

# Nearly all of these networks halve the image five times: from 32 pixels on, their last stage
# sees something. Many state a minimum of 1, at which they run but cannot learn.
_HALVINGS_MINIMUM = 32
# Arguments that only some families have. The auxiliary heads go: they return tuples. Stating
# init_weights, here the papers' own initialisation, keeps torchvision from warning about it.
_FAMILY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def torchvision_model(
    name: str,
    input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
    num_classes: PositiveInt,
) -> nn.Module:
    """The model of that name; images (N, C, H, W) float to logits (N, num_classes).

    Vision transformers are built for the size of the image. Raises ConfigError for an unknown
    name, and for an image size that the model cannot take.
    """
    models = _models_module(name)
    arguments = _size_arguments(name, input_shape[1:]) | _FAMILY_ARGUMENTS.get(name, {})
    with _building_device(name):
        model: nn.Module = models.get_model(name, num_classes=num_classes, **arguments)
    model.to(torch.get_default_device())
    _fit_first_convolution(model, input_shape[0])
    return model


def min_image_size(name: str) -> int:
    """The smallest image side on which the model is of use.

    torchvision's stated minimum, but at least 32; two patches a side for vision transformers,
    which are built for the size they get. Raises ConfigError for an unknown name.
    """
    models = _models_module(name)
    if name.startswith("vit_"):
        patch = _patch_size(name)
        return patch * max(2, -(-_HALVINGS_MINIMUM // patch))
    stated = models.get_model_weights(name).DEFAULT.meta["min_size"]
    return max(_HALVINGS_MINIMUM, *map(int, stated))


def _models_module(name: str) -> Any:
    """`torchvision.models`, once it is known to have a classifier of that name."""
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        near = near_names(name, names, cutoff=0.4) or names
        raise ConfigError(
            f"model.name={name} is no classification model of torchvision; type one of "
            f"{', '.join(near)}"
        )
    return models


def _size_arguments(name: str, size: tuple[int, int]) -> dict[str, Any]:
    """What the transformers that are built for one image size want to know of it."""
    if name.startswith("vit_"):
        return {"image_size": _square_multiple(name, size, _patch_size(name))}
    if name.startswith("maxvit_"):  # windows of 7 after five halvings
        return {"input_size": (_square_multiple(name, size, 7 * 2**5),) * 2}
    return {}


def _building_device(name: str) -> AbstractContextManager[object]:
    """RegNets work their widths out with tensors, which needs values even for a meta model."""
    return torch.device("cpu") if name.startswith("regnet_") else nullcontext()


def _patch_size(name: str) -> int:
    return int(name.rpartition("_")[2])


def _square_multiple(name: str, size: tuple[int, int], unit: int) -> int:
    height, width = size
    if height != width or height % unit:
        nearest = unit * max(1, round(max(size) / unit))
        raise ConfigError(
            f"model.name={name} takes square images of a multiple of {unit}, not "
            f"{height}x{width}; type data.image_size={nearest}"
        )
    return height


def _fit_first_convolution(model: nn.Module, channels: int) -> None:
    """Give the first convolution that many input channels."""
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
