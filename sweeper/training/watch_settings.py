"""What of a network is watched, and which of its layers that comes to."""

import fnmatch
from dataclasses import dataclass, field
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import nn
from torch.nn.modules.conv import _ConvNd

from sweeper.errors import ConfigError
from sweeper.summary.rows import layers
from sweeper.text import did_you_mean


@dataclass(frozen=True)
class WatchSettings:
    """What is shown of the network; see `conf/watch.yaml`."""

    layers: str | list[str] = field(default_factory=list)
    histograms: bool = False
    graph: bool = False
    images: NonNegativeInt = 0
    every: PositiveInt | Literal["auto"] = "auto"

    @property
    def on(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.layers or self.histograms or self.graph or self.images)


def watched_layers(model: nn.Module, wanted: str | list[str]) -> list[str]:
    """Return the names of the wanted layers, in the order of the model.

    `wanted` is a name or a pattern, or several, as in model_summary.txt; `auto` stands for the
    first two convolutions, two from between, and the last.

    Raises:
        ConfigError: the network has no layer of such a name.
    """
    named = {name: layer for name, layer in layers(model) if name}
    if wanted == "auto":
        return _spread([name for name, layer in named.items() if isinstance(layer, _ConvNd)])
    patterns = [wanted] if isinstance(wanted, str) else wanted
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in named):
            raise ConfigError(
                f"tracking.watch.layers={pattern}: the network has no such layer; "
                f"{did_you_mean(pattern, named)}"
            )
    return [name for name in named if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def _spread(names: list[str]) -> list[str]:
    last = len(names) - 1
    places = sorted({0, 1, round(last / 3), round(2 * last / 3), last})
    return [names[place] for place in places if 0 <= place <= last]
