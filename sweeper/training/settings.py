"""The settings of a run: the plain values in the root of the config, and its trainer."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from sweeper.errors import ConfigError
from sweeper.objectives import SIZES, TEST, Direction, direction_of, headline
from sweeper.schema import Fraction
from sweeper.tracking.tags import require_free_names, with_dotted_names

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def pattern_name(value: Any) -> Any:
    """Return a pattern as text; YAML reads names such as 0 as numbers.

    A float is refused, since its text may differ from what was typed: 0.10 becomes 0.1.
    """
    if isinstance(value, float):
        raise PydanticCustomError("name", "a name in quotes: '0.10' is a layer, 0.10 is a number")
    return str(value) if type(value) is int else value


Pattern = Annotated[str, BeforeValidator(pattern_name)]
"""A pattern for names in a network; the layers of an nn.Sequential are called 0, 1, 2."""
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def empty_list_for_null(value: Any) -> Any:
    """Return an empty list for null, and any other value unchanged."""
    return [] if value is None else value


def number_as_text(value: Any) -> Any:
    """Return a number as text, since a name such as 3 is read as one."""
    return str(value) if type(value) in (int, float) else value


def with_dotted_keys(value: Any) -> Any:
    """Return a mapping with dotted keys instead of nested mappings, and an empty one for null.

    `+lr_scale.features.0=0.1` composes {features: {0: 0.1}}, which becomes {"features.0": 0.1}.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        return value
    nested = {key: with_dotted_keys(inner) for key, inner in value.items()}
    return {
        f"{pattern_name(key)}.{below}" if below else str(pattern_name(key)): factor
        for key, inner in nested.items()
        for below, factor in (inner.items() if isinstance(inner, dict) else [("", inner)])
    }


@dataclass(frozen=True)
class RunSettings:
    """The plain values in the root of the config; see `conf/config.yaml`.

    Raises:
        ConfigError: a metric is unknown or not allowed, the directions do not match the metrics, or
            a tag has a name that sweeper uses.
    """

    seed: Seed
    metric: str | list[str]
    direction: Direction | list[Direction] | None
    study: Literal["resume", "fresh", "compare"]
    resume: str | None
    figures: bool | Literal["auto"]
    run_name: Annotated[str | None, BeforeValidator(number_as_text)] = None
    tags: Annotated[
        dict[str, str | int | float | bool | None], BeforeValidator(with_dotted_names)
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_free_names(self.tags)
        for name in self.metrics:
            if name.startswith(TEST):
                raise ConfigError(
                    f"metric={name}: the test split must not decide anything; "
                    f"type metric={name.replace(TEST, 'val/')}"
                )
        if not self.metrics or self.monitored in SIZES:
            raise ConfigError(
                f"metric={self.metric}: the first metric must be measured every epoch; "
                f"type one such as {headline('multiclass')} first"
            )
        direction = self.direction
        n_directions = len(direction) if isinstance(direction, list) else 1
        if direction is not None and n_directions != len(self.metrics):
            raise ConfigError(
                f"direction={direction}: type one direction for each of metric={self.metric}"
            )

    @property
    def metrics(self) -> list[str]:
        """All metrics, the monitored one first."""
        return [self.metric] if isinstance(self.metric, str) else self.metric

    @property
    def monitored(self) -> str:
        """The metric that decides the best epoch, patience and plateaus."""
        return self.metrics[0]

    @property
    def monitored_direction(self) -> Direction:
        """The direction of the monitored metric."""
        first = self.direction[0] if isinstance(self.direction, list) else self.direction
        return first or direction_of(self.monitored)


@dataclass(frozen=True)
class TrainerSettings:
    """The group `trainer`; see `conf/training.yaml`."""

    epochs: PositiveInt
    device: str
    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool | Literal["auto"]
    compile: bool
    clip_norm: PositiveFloat | None
    accumulate: PositiveInt
    ema_decay: Fraction | None
    freeze: Annotated[list[Pattern], BeforeValidator(empty_list_for_null)]
    unfreeze_at: PositiveInt | None
    lr_scale: Annotated[dict[str, Factor], BeforeValidator(with_dotted_keys)]
    activation_checkpointing: bool
    deterministic: bool
    threads: Annotated[int, Field(ge=1, le=1024)] | None
    train_limit: PositiveInt | None
    val_limit: PositiveInt | None
    test_limit: PositiveInt | None
    overfit: bool
    detect_anomaly: bool
