"""The settings of sizes and transforms, and the steps that follow from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sweeper.data.decoding import Colour, Decoding, colour
from sweeper.data.framing import Resize, Size, framed
from sweeper.data.pipeline import InputSteps, apply_steps, common_output, enlarge_steps
from sweeper.data.recognised import (
    MARGIN,
    crop_side,
    flattened,
    n_flips,
    require_new,
    tells_all,
    useful_side,
)
from sweeper.data.source import Indices, Transform, required_size

BLANK_SIDE = 512
"""The side in pixels of a blank image that stands for a photograph, unless a crop needs more."""

Probe = Tensor | list[Tensor]
"""A batch of one image, (1, C, H, W), or one photograph, (C, H, W), uint8, to try steps out."""


@dataclass(frozen=True)
class Inputs:
    """The settings that all images of a data set share, for training and for evaluation.

    `size` is at least what the network needs; None keeps the size that images have.
    """

    source: str
    size: Size | None
    resize: Resize
    background: Colour
    train: tuple[Any, ...]
    evaluation: tuple[Any, ...]
    min_image_size: int

    @staticmethod
    def of(
        source: str,
        image_size: int | Size | None,
        resize: Resize,
        background: str | Sequence[int],
        train_transform: Sequence[Callable[..., Any]],
        eval_transform: Sequence[Callable[..., Any]],
        min_image_size: int,
    ) -> "Inputs":
        """Check the settings of a run.

        Raises:
            ConfigError: a transform does what is done for all images, or the background is no
                colour.
        """
        require_new(train_transform, "data.train_transform")
        require_new(eval_transform, "data.eval_transform")
        sides = (image_size, image_size) if isinstance(image_size, int) else image_size
        return Inputs(
            source,
            sides and (max(sides[0], min_image_size), max(sides[1], min_image_size)),
            resize,
            colour(background, "data.background"),
            tuple(flattened(train_transform)),
            tuple(flattened(eval_transform)),
            min_image_size,
        )

    def decoding(self, channels: int) -> Decoding:
        """Return how image files are decoded.

        They keep their proportions if a transform gives all of them the same size, unless they are
        squashed: transforms then see photographs as they are. Otherwise they get `size` first.

        Raises:
            ConfigError: there is no size.
        """
        if self.resize == "squash" or not self._any_sizing(channels):
            size = required_size(self.source, self.size)
            return Decoding(size, self.resize, None, self.background)
        sides = [self._useful_side(each, channels) for each in (self.train, self.evaluation)]
        known = [side for side in sides if side is not None]
        limit = max(known) if len(known) == len(sides) else None
        return Decoding(None, "crop", limit, self.background)

    def _any_sizing(self, channels: int) -> bool:
        return any(_n_sizing(each, channels) for each in (self.train, self.evaluation))

    def _useful_side(self, transforms: Sequence[Any], channels: int) -> int | None:
        """Return the shorter side up to which photographs have detail for these transforms."""
        if _n_sizing(transforms, channels):
            return useful_side(transforms)
        return MARGIN * max(required_size(self.source, self.size))

    def steps(self, probes: Sequence[Probe], device: torch.device) -> InputSteps:
        """Return the steps for images like the probes; photographs are tried one by one.

        Raises:
            ConfigError: a transform fails on a probe, or the shapes of training and evaluation
                differ.
        """
        train = self._steps(self.train, probes[0], device)
        evaluation = self._steps(self.evaluation, probes[0], device)
        output = [common_output(train, evaluation, probe) for probe in probes][0]
        enlarge = enlarge_steps(output, self.min_image_size)
        channels, height, width = apply_steps(enlarge, output).shape[1:]
        name = "; ".join(map(str, evaluation)) if all(map(tells_all, self.evaluation)) else None
        return InputSteps(train, evaluation, enlarge, (channels, height, width), name)

    def _steps(
        self, transforms: Sequence[Any], probe: Probe, device: torch.device
    ) -> tuple[Transform, ...]:
        steps: list[Transform] = []
        if isinstance(probe, list):
            from sweeper.data.sizing import Frame, Sizing  # imports torchvision, as below

            n = _n_sizing(transforms, len(probe[0]))
            frame = (Frame(required_size(self.source, self.size), "crop"),) if n == 0 else ()
            # To flip the images of a batch one by one takes a third of the time of flipping all.
            n += n_flips(transforms[n:])
            steps.append(Sizing((*frame, *transforms[:n]), device))
            transforms = transforms[n:]
        elif self.size is not None and tuple(probe.shape[-2:]) != self.size:
            steps.append(partial(framed, frame=self.size, resize=self.resize))
        if transforms:
            from sweeper.data.augment import batched  # imports torchvision, which takes 5 seconds

            steps.extend(batched(transform) for transform in transforms)
        return tuple(steps)

    def for_evaluation(self) -> "Inputs":
        """Return the settings with the transforms of evaluation in training too."""
        return replace(self, train=self.evaluation)

    def is_enlarged(self, image_size: int | Size | None) -> bool:
        """Return whether the configured size was less than what the network needs."""
        if image_size is None:
            return False
        sides = (image_size, image_size) if isinstance(image_size, int) else image_size
        return min(sides) < self.min_image_size

    @property
    def image_size(self) -> int | Size | None:
        """The size as sources take it: the side of a square, or height and width."""
        return self.size[0] if self.size is not None and self.size[0] == self.size[1] else self.size

    def blank_files(self, channels: int) -> list[Probe]:
        """Return blank images as files would be decoded, to try the steps without a file."""
        size = self.decoding(channels).size
        if size is not None:
            return [torch.zeros(1, channels, *size, dtype=torch.uint8)]
        crop = max(map(crop_side, (*self.train, *self.evaluation)), default=0)
        side = max(BLANK_SIDE, 2 * crop)
        return _blanks([(side, side * 4 // 3), (side * 4 // 3, side)], channels)


def smallest_photographs(sizes: Indices, channels: int) -> list[Probe]:
    """Return blank photographs with the sizes of the lowest and the narrowest one.

    sizes: (N, 2), heights and widths.
    """
    return _blanks([tuple(sizes[i].tolist()) for i in sizes.argmin(axis=0)], channels)


def _blanks(sizes: Sequence[Size], channels: int) -> list[Probe]:
    return [[torch.zeros(channels, *size, dtype=torch.uint8)] for size in sizes]


def _n_sizing(transforms: Sequence[Any], channels: int) -> int:
    """Return the number of transforms up to the first that gives all images one size, or 0."""
    if not transforms:
        return 0
    from sweeper.data.sizing import n_sizing  # imports torchvision, which takes 5 seconds

    return n_sizing(tuple(transforms), channels)
