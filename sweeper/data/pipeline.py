"""The steps from uint8 images to a network's input: resizing, transforms, normalisation."""

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
"""Height and width in pixels."""


def resized(images: Tensor, size: Size) -> Tensor:
    """Resize images (N, C, H, W) to this height and width, bilinearly, in their own dtype."""
    shrinks = size[0] < images.shape[-2] or size[1] < images.shape[-1]
    scaled = F.interpolate(images.float(), size, mode="bilinear", antialias=shrinks)
    return scaled if images.is_floating_point() else scaled.round().clamp(0, 255).to(images.dtype)


@dataclass(frozen=True)
class Pipeline:
    """Steps on a batch, then its normalisation.

    Input: (B, C, H, W) uint8, or float in 0..1; output: (B, C', H', W') float32.
    """

    steps: tuple[Transform, ...]
    normalise: Transform

    def __call__(self, images: Tensor) -> Tensor:
        return self.normalise(apply_steps(self.steps, images))


@dataclass(frozen=True)
class InputSteps:
    """The steps from a decoded batch to the network's input, before normalisation.

    `enlarge` comes after `train` as well as after `evaluation`. `input_shape` is (C, H, W).
    """

    train: tuple[Transform, ...]
    evaluation: tuple[Transform, ...]
    enlarge: tuple[Transform, ...]
    input_shape: ImageShape


def decoded_size(image_size: int | None, min_image_size: int) -> int | None:
    """Return the side that images are decoded or resized to; None keeps their own size."""
    # Image files are decoded directly to the size that the network needs, not resized twice.
    return image_size and max(image_size, min_image_size)


def input_steps(
    image: Tensor,
    train_transform: Sequence[Transform],
    eval_transform: Sequence[Transform],
    size: int | None,
    min_image_size: int,
) -> InputSteps:
    """Return the steps for images like `image`, (1, C, H, W) uint8; `size` is the decoded one.

    Raises:
        ConfigError: a transform fails on the image, or the shapes of training and evaluation
            differ.
    """
    train = transform_steps(train_transform, image, key="data.train_transform", size=size)
    evaluation = transform_steps(eval_transform, image, key="data.eval_transform", size=size)
    output = common_output(train, evaluation, image)
    enlarge = enlarge_steps(output, min_image_size)
    channels, height, width = apply_steps(enlarge, output).shape[1:]
    return InputSteps(train, evaluation, enlarge, (channels, height, width))


def apply_steps(steps: Iterable[Transform], images: Tensor) -> Tensor:
    """Return the images (N, C, H, W) after all steps."""
    for step in steps:
        images = step(images)
    return images


def transform_steps(
    transforms: Sequence[Transform], image: Tensor, *, key: str, size: int | None
) -> tuple[Transform, ...]:
    """Return the resizing to a square of side `size`, and the transforms, as steps on batches.

    `image`, (1, C, H, W) uint8, is used to try the steps out. `key` is the transforms' config key.

    Raises:
        ConfigError: a transform fails on the image.
    """
    steps: list[Transform] = []
    if size is not None and image.shape[-2:] != (size, size):
        steps.append(partial(resized, size=(size, size)))
    if transforms:
        from sweeper.data.augment import batched  # imports torchvision, which takes 5 seconds

        steps.extend(batched(transform) for transform in transforms)
    output_of(steps, image, key)
    return tuple(steps)


def enlarge_steps(image: Tensor, min_size: int) -> tuple[Transform, ...]:
    """Return the step that enlarges images of this shape to `min_size`, if they are smaller."""
    height, width = image.shape[-2:]
    if min(height, width) >= min_size:
        return ()
    return (partial(resized, size=(max(height, min_size), max(width, min_size))),)


def output_of(steps: Sequence[Transform], image: Tensor, key: str) -> Tensor:
    """Return the image (1, C, H, W) after all steps, and restore the global random state.

    Raises:
        ConfigError: a step fails, or returns anything but one image tensor.
    """
    with torch.random.fork_rng(devices=[image.device] if image.device.type == "cuda" else []):
        for step in steps:
            try:
                image = step(image)
            except Exception as error:  # a user's transform may raise anything
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
    """Return the image (1, C, H, W) after the evaluation steps.

    Raises:
        ConfigError: the training steps return another shape.
    """
    trained = output_of(train, image, "data.train_transform")
    evaluated = output_of(evaluation, image, "data.eval_transform")
    if trained.shape != evaluated.shape:
        raise ConfigError(
            f"data.train_transform gives images of shape {tuple(trained.shape[1:])} and "
            f"data.eval_transform gives images of shape {tuple(evaluated.shape[1:])}: expected "
            f"equal shapes; add what is missing, such as Resize or CenterCrop, to "
            f"data.eval_transform"
        )
    return evaluated
