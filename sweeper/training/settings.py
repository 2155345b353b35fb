"""The plain settings of a run: the root of the config, and its trainer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from sweeper.errors import ConfigError
from sweeper.schema import Fraction, did_you_mean
from sweeper.training.state import Direction

Seed = Annotated[int, Field(ge=0, lt=2**63)]
METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")


@dataclass(frozen=True)
class RunSettings:
    """The root of the config; see `conf/config.yaml`."""

    seed: Seed
    metric: str
    direction: Direction | None
    resume: str | None
    figures: bool

    def __post_init__(self) -> None:
        if self.metric.startswith("test/"):
            raise ConfigError(
                f"metric={self.metric}: nothing is ever chosen by the test split; "
                f"use metric={self.metric.replace('test/', 'val/')}"
            )
        if self.metric not in METRICS:
            raise ConfigError(f"metric={self.metric}: {did_you_mean(self.metric, METRICS)}")

    @property
    def sought(self) -> Direction:
        """The direction given, or else: a loss is minimised, anything else maximised."""
        return self.direction or ("minimize" if self.metric.endswith("loss") else "maximize")


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
    activation_checkpointing: bool
    deterministic: bool
    threads: PositiveInt | None
    train_limit: PositiveInt | None
    val_limit: PositiveInt | None
