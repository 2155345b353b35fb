"""The plain settings of a run: the root of the config, and its trainer."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from sweeper.errors import ConfigError
from sweeper.objectives import METRICS, SIZES, Direction, direction_of, headline
from sweeper.schema import Fraction
from sweeper.text import did_you_mean

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def named(value: Any) -> Any:
    """Return a name as it was typed; of a float, the digits that YAML read are lost."""
    if isinstance(value, float):
        raise PydanticCustomError("name", "a name in quotes: '0.10' is a layer, 0.10 a number")
    return str(value) if type(value) is int else value


Pattern = Annotated[str, BeforeValidator(named)]
"""Of names in a network; the layers of an nn.Sequential are called 0, 1, 2."""
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def listed(value: Any) -> Any:
    """Return an empty list for null, which is how the other options say that there is nothing."""
    return [] if value is None else value


def dotted(value: Any) -> Any:
    """Return a mapping with dotted keys: what `+lr_scale.features.0=0.1` composes is nested."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        return value
    nested = {key: dotted(inner) for key, inner in value.items()}
    return {
        f"{named(key)}.{below}" if below else str(named(key)): factor
        for key, inner in nested.items()
        for below, factor in (inner.items() if isinstance(inner, dict) else [("", inner)])
    }


@dataclass(frozen=True)
class RunSettings:
    """The root of the config; see `conf/config.yaml`."""

    seed: Seed
    metric: str | list[str]
    direction: Direction | list[Direction] | None
    study: Literal["resume", "fresh"]
    resume: str | None
    figures: bool | Literal["auto"]

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name.startswith("test/"):
                raise ConfigError(
                    f"metric={name}: nothing is ever chosen by the test split; "
                    f"use metric={name.replace('test/', 'val/')}"
                )
            if name not in (*METRICS, *SIZES):
                raise ConfigError(f"metric={name}: {did_you_mean(name, (*METRICS, *SIZES))}")
        if not self.metrics or self.monitored not in METRICS:
            raise ConfigError(
                f"metric={self.metric}: the first must change by the epoch, "
                f"as {headline('multiclass')} does"
            )
        given = self.direction
        if given is not None and len(self.metrics) != (
            len(given) if isinstance(given, list) else 1
        ):
            raise ConfigError(f"direction={given}: give one for each of metric={self.metric}")

    @property
    def metrics(self) -> list[str]:
        """All that the run is judged by."""
        return [self.metric] if isinstance(self.metric, str) else self.metric

    @property
    def monitored(self) -> str:
        """The metric that decides the best epoch, patience and plateaus."""
        return self.metrics[0]

    @property
    def monitored_direction(self) -> Direction:
        """The direction of the monitored metric."""
        given = self.direction[0] if isinstance(self.direction, list) else self.direction
        return given or direction_of(self.monitored)


@dataclass(frozen=True)
class TrainerSettings:
    """How a run trains; see `conf/trainer/default.yaml`."""

    epochs: PositiveInt
    device: str
    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    compile: bool
    clip_norm: PositiveFloat | None
    accumulate: PositiveInt
    ema_decay: Fraction | None
    freeze: Annotated[list[Pattern], BeforeValidator(listed)]
    unfreeze_at: PositiveInt | None
    lr_scale: Annotated[dict[str, Factor], BeforeValidator(dotted)]
    activation_checkpointing: bool
    deterministic: bool
    threads: PositiveInt | None
    train_limit: PositiveInt | None
    val_limit: PositiveInt | None
