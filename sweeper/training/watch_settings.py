"""The settings of `tracking.watch`, and the layers that they select."""

import fnmatch
from dataclasses import dataclass, field
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import nn
from torch.nn.modules.conv import _ConvNd

from sweeper.errors import ConfigError
from sweeper.summary.rows import named_layers
from sweeper.text import did_you_mean


@dataclass(frozen=True)
class WatchSettings:
    """The keys of `tracking.watch`; see `conf/watch.yaml`."""

    layers: str | list[str] = field(default_factory=list)
    histograms: bool = False
    graph: bool = False
    images: NonNegativeInt = 0
    every: PositiveInt | Literal["auto"] = "auto"

    @property
    def enabled(self) -> bool:
        """True if anything is watched."""
        return bool(self.layers or self.histograms or self.graph or self.images)


def watched_layers(model: nn.Module, selection: str | list[str]) -> list[str]:
    """Return the names of the selected layers, in the order of the model.

    `selection` is one pattern or several, for the names in model_summary.txt. `auto` selects the
    first two convolutions, two in the middle, and the last.

    Raises:
        ConfigError: a pattern matches no layer of the network.
    """
    layer_by_name = {name: layer for name, layer in named_layers(model) if name}
    if selection == "auto":
        convolutions = [n for n, layer in layer_by_name.items() if isinstance(layer, _ConvNd)]
        return _evenly_spread(convolutions)
    patterns = [selection] if isinstance(selection, str) else selection
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in layer_by_name):
            raise ConfigError(
                f"tracking.watch.layers={pattern}: the network has no such layer; "
                f"{did_you_mean(pattern, layer_by_name)}"
            )
    return [name for name in layer_by_name if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def _evenly_spread(names: list[str]) -> list[str]:
    """Return up to five names: the first two, two in the middle, and the last."""
    last = len(names) - 1
    indices = sorted({0, 1, round(last / 3), round(2 * last / 3), last})
    return [names[index] for index in indices if 0 <= index <= last]
