"""The option of the group `model`, and the check of the network that it builds."""

import copy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from sweeper.build.option import Option, Trust, failure_reason, pop_keys, require_kind
from sweeper.errors import ConfigError, SweeperError
from sweeper.schema import ImageShape


@dataclass(frozen=True)
class ModelKeys:
    """The keys of a model option that are not arguments of its target."""

    min_image_size: Annotated[int, Field(ge=1, le=4096)] = 1


class ModelOption:
    """The option of the group `model`, checked but not yet built.

    Raises:
        ConfigError: the target or an argument cannot work.
    """

    def __init__(self, name: str, node: dict[str, Any], trust: Trust) -> None:
        self.min_image_size = pop_keys("model", ModelKeys, node).min_image_size
        self._option = Option.of_node("model", name, node, trust=trust)

    @property
    def name(self) -> str:
        """The name of the option."""
        return self._option.name

    @property
    def slow_channels_last(self) -> bool:
        """True if the network says that it is slower in the memory format channels_last."""
        return bool(getattr(self._option.target, "slow_channels_last", False))

    def build(self, **shapes: object) -> nn.Module:
        """Build the network; its target gets those of `shapes` that it has parameters for.

        Raises:
            ConfigError: it cannot be built, or is no `nn.Module`.
        """
        arguments = {name: shape for name, shape in shapes.items() if self._option.accepts(name)}
        model: nn.Module = self._option(**arguments)
        require_kind(model, nn.Module, self._option)
        return model

    def outputs_for_blank(
        self, model: nn.Module, input_shape: ImageShape, batch_size: int
    ) -> object:
        """Return the outputs of the network for one blank image, in evaluation mode.

        Raises:
            ConfigError: the network cannot take the image.
        """
        image = torch.zeros(1, *input_shape)
        with torch.no_grad():
            try:
                if batch_size == 1:  # batch norm over a single value fails in training mode only
                    copy.deepcopy(model).train()(image)
                return model.eval()(image)
            except SweeperError:
                raise
            except Exception as error:  # the network may be anyone's
                raise ConfigError(
                    f"model={self.name} cannot take {batch_size} images of shape {input_shape}: "
                    f"{failure_reason(error)}"
                ) from error
