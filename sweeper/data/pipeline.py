"""From uint8 batches to a network's input: resizing, transforms, normalisation, on the device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from sweeper.data.source import Transform
from sweeper.errors import ConfigError
from sweeper.schema import ImageShape
from sweeper.text import in_one_line

Size = tuple[int, int]


def resized(images: Tensor, size: Size) -> Tensor:
    """The images (N, C, *, *) at this height and width, in their own dtype; bilinear."""
    shrinks = size[0] < images.shape[-2] or size[1] < images.shape[-1]
    scaled = F.interpolate(images.float(), size, mode="bilinear", antialias=shrinks)
    return scaled if images.is_floating_point() else scaled.round().clamp(0, 255).to(images.dtype)


@dataclass(frozen=True)
class Pipeline:
    """Steps on a batch (N, C, H, W), uint8 or float in 0..1, ending in normalised float32."""

    steps: tuple[Transform, ...]
    normalise: Transform

    def __call__(self, images: Tensor) -> Tensor:
        return self.normalise(apply(self.steps, images))


@dataclass(frozen=True)
class Route:
    """The way of an image to the network; `enlarge` comes last, in training and in evaluation.

    `shape` is (C, H, W) as the network sees it.
    """

    train: tuple[Transform, ...]
    evaluation: tuple[Transform, ...]
    enlarge: tuple[Transform, ...]
    shape: ImageShape


def decoded_size(image_size: int | None, min_image_size: int) -> int | None:
    """The side that images are decoded or scaled to; None keeps their own."""
    # Files of any size are decoded at once to what the network needs, not scaled twice.
    return image_size and max(image_size, min_image_size)


def route_for(
    image: Tensor,
    train_transform: Sequence[Transform],
    eval_transform: Sequence[Transform],
    size: int | None,
    min_image_size: int,
) -> Route:
    """The way of images like this one, (1, C, H, W) uint8, with `size` the decoded one.

    ConfigError when a transform fails on it, or training and evaluation end in different shapes.
    """
    train = steps_for(train_transform, image, key="data.train_transform", size=size)
    evaluation = steps_for(eval_transform, image, key="data.eval_transform", size=size)
    output = common_output(train, evaluation, image)
    enlarge = enlarging(output, min_image_size)
    channels, height, width = apply(enlarge, output).shape[1:]
    return Route(train, evaluation, enlarge, (channels, height, width))


def apply(steps: Iterable[Transform], images: Tensor) -> Tensor:
    """The images after each step in turn."""
    for step in steps:
        images = step(images)
    return images


def steps_for(
    transforms: Sequence[Transform], image: Tensor, *, key: str, size: int | None
) -> tuple[Transform, ...]:
    """Resizing to `size` squared and the transforms, each made to work on a batch.

    `image`: (1, C, H, W) uint8. ConfigError when a transform fails on it, naming `key`.
    """
    steps: list[Transform] = []
    if size is not None and image.shape[-2:] != (size, size):
        steps.append(partial(resized, size=(size, size)))
    if transforms:
        from sweeper.data.augment import batched  # brings in torchvision: five seconds

        steps.extend(batched(transform) for transform in transforms)
    output_of(steps, image, key)
    return tuple(steps)


def enlarging(image: Tensor, minimum: int) -> tuple[Transform, ...]:
    """The step that enlarges images of this shape to `minimum`; none when they are no smaller."""
    height, width = image.shape[-2:]
    if min(height, width) >= minimum:
        return ()
    return (partial(resized, size=(max(height, minimum), max(width, minimum))),)


def output_of(steps: Sequence[Transform], image: Tensor, key: str) -> Tensor:
    """What the steps make of one image (1, C, H, W); the global random state is left as it was."""
    with torch.random.fork_rng(devices=[image.device] if image.device.type == "cuda" else []):
        for step in steps:
            try:
                image = step(image)
            except Exception as error:  # whatever a transform of the user's may raise
                shape, reason = tuple(image.shape[1:]), in_one_line(error)
                raise ConfigError(
                    f"{key}: {step} fails on an image of shape {shape}: {reason}"
                ) from error
    if not isinstance(image, Tensor) or image.ndim != 4:
        raise ConfigError(f"{key}: expected transforms that return one image tensor (C, H, W)")
    return image


def common_output(
    train: Sequence[Transform], evaluation: Sequence[Transform], image: Tensor
) -> Tensor:
    """What both make of the image; ConfigError unless it is of one shape."""
    trained = output_of(train, image, "data.train_transform")
    evaluated = output_of(evaluation, image, "data.eval_transform")
    if trained.shape != evaluated.shape:
        raise ConfigError(
            f"data.train_transform gives images of shape {tuple(trained.shape[1:])} and "
            f"data.eval_transform {tuple(evaluated.shape[1:])}: expected the same, add to "
            f"data.eval_transform what is missing, such as a Resize or CenterCrop"
        )
    return evaluated
