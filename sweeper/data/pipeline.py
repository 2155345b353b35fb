"""The steps from uint8 images to a network's input: sizes, transforms, normalisation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sweeper.data.framing import resized
from sweeper.data.source import Transform
from sweeper.errors import ConfigError
from sweeper.schema import ImageShape
from sweeper.text import in_one_line


@dataclass(frozen=True)
class Pipeline:
    """Steps on a batch, then its normalisation.

    Input: (B, C, H, W) uint8, or B photographs (C, H, W) uint8 of different sizes if the first step
    takes them; output: (B, C', H', W') float32.
    """

    steps: tuple[Transform, ...]
    normalise: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor | list[Tensor]) -> Tensor:
        return self.normalise(apply_steps(self.steps, images))

    @property
    def takes_photographs(self) -> bool:
        """True if the first step gives photographs of different sizes one size."""
        return bool(self.steps) and getattr(self.steps[0], "takes_photographs", False)

    def behind_sizing(self) -> "Pipeline":
        """Return the pipeline for images that have one size already, (B, C, H, W) uint8."""
        return Pipeline(self.steps[self.takes_photographs :], self.normalise)


@dataclass(frozen=True)
class InputSteps:
    """The steps from a decoded batch to the network's input, before normalisation.

    `enlarge` comes after `train` as well as after `evaluation`. `input_shape` is (C, H, W).
    `evaluation_name` says all that `evaluation` does; None if nothing says it.
    """

    train: tuple[Transform, ...]
    evaluation: tuple[Transform, ...]
    enlarge: tuple[Transform, ...]
    input_shape: ImageShape
    evaluation_name: str | None


def apply_steps(steps: Iterable[Transform], images: Tensor | list[Tensor]) -> Tensor:
    """Return the images (N, C, H, W) after all steps."""
    result: Any = images
    for step in steps:
        result = step(result)
    return result  # type: ignore[no-any-return]


def enlarge_steps(image: Tensor, min_size: int) -> tuple[Transform, ...]:
    """Return the step that enlarges images of this shape to `min_size`, if they are smaller."""
    height, width = image.shape[-2:]
    if min(height, width) >= min_size:
        return ()
    return (partial(resized, size=(max(height, min_size), max(width, min_size))),)


def output_of(steps: Sequence[Transform], image: Tensor | list[Tensor], key: str) -> Tensor:
    """Return one image (1, C, H, W) after all steps, and restore the global random state.

    image: (1, C, H, W) uint8, or a list of one photograph (C, H, W) uint8.

    Raises:
        ConfigError: a step fails, or returns anything but one image tensor.
    """
    result: Any = image
    device = image[0].device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step in steps:
            try:
                result = step(result)
            except Exception as error:  # a user's transform may raise anything
                shape, reason = tuple(result[0].shape), in_one_line(error)
                raise ConfigError(
                    f"{key}: {step} fails on an image of shape {shape}: {reason}"
                ) from error
    if not isinstance(result, Tensor) or result.ndim != 4:
        raise ConfigError(f"{key}: expected transforms that return one image tensor (C, H, W)")
    return result


def common_output(
    train: Sequence[Transform], evaluation: Sequence[Transform], image: Tensor | list[Tensor]
) -> Tensor:
    """Return one image (1, C, H, W) after the evaluation steps.

    image: (1, C, H, W) uint8, or a list of one photograph (C, H, W) uint8.

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
            f"data.eval_transform, or type the size of the network's input as data.image_size"
        )
    return evaluated
