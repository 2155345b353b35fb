"""Types that configuration values are checked against, and the check.

An option is a `_target_` and plain arguments, so its schema is the signature of the target:
each value is validated against the annotation of its parameter, ranges included.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from sweeper.errors import ConfigError
from sweeper.text import did_you_mean

ImageShape = tuple[int, int, int]
"""Channels, height and width of an image: (C, H, W)."""

Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]

OPTIMIZER_RANGES: Mapping[str, Any] = {
    "lr": PositiveFloat,
    "adamw_lr": PositiveFloat,
    "momentum": NonNegativeFloat,
    "weight_decay": NonNegativeFloat,
    "eps": NonNegativeFloat,
    "alpha": Probability,
    "rho": Probability,
    "betas": tuple[Probability, Probability],
    "adamw_betas": tuple[Probability, Probability],
}
"""torch annotates its optimizers with `float`, and names no argument when it refuses a value."""

SCHEDULER_RANGES: Mapping[str, Any] = {
    "step_size": PositiveInt,
    "gamma": PositiveFloat,
    "eta_min": NonNegativeFloat,
    "power": NonNegativeFloat,
    "factor": Fraction,
    "patience": NonNegativeInt,
    "threshold": NonNegativeFloat,
    "threshold_mode": Literal["rel", "abs"],
    "cooldown": NonNegativeInt,
    "min_lr": NonNegativeFloat,
}

LOSS_RANGES: Mapping[str, Any] = {
    "label_smoothing": UnitInterval,
    "reduction": Literal["mean", "sum", "none", "batchmean"],
    "p": Literal[1, 2],
}
"""torch looks at these in the first batch only."""

GIVEN = {"self", "params", "optimizer", "input_shape", "num_classes"}
"""Parameters that the run fills in; nobody needs to be told of them."""


def checked(
    path: str,
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    ranges: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the arguments as the target's annotations want them.

    `path` is where they stand in the config; `ranges` narrows annotations that are too wide.

    Raises:
        ConfigError: the target has no such parameter, or the value is of another type or range.
    """
    parameters = inspect.signature(target).parameters
    hints = _annotations(target) | dict(ranges or {})
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    result = {}
    for name, value in arguments.items():
        if name not in parameters and not takes_any:
            known = parameters.keys() - GIVEN
            raise ConfigError(f"{path} has no key {name}; {did_you_mean(name, known)}")
        result[name] = _validated(f"{path}.{name}", hints.get(name, Any), value)
    return result


def _annotations(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(
            target.__init__ if inspect.isclass(target) else target,
            include_extras=True,
        )
    except (NameError, TypeError):
        return {}  # annotations that only a type checker can read


def _validated(key: str, annotation: Any, value: Any) -> Any:
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value  # not a type of values; the target sees for itself
    try:
        result = adapter.validate_python(value)
    except ValidationError as error:
        wanted = dict.fromkeys(_wanted(e["msg"]) for e in error.errors())
        raise ConfigError(f"{key}={value}: expected {' or '.join(wanted)}") from None
    if isinstance(value, bool) and not isinstance(result, bool):
        raise ConfigError(f"{key}={value}: expected a number")
    if isinstance(result, float) and not math.isfinite(result):
        raise ConfigError(f"{key}={value}: expected a finite number")
    return result


def _wanted(message: str) -> str:
    wanted = message.removeprefix("Input should be ").removeprefix("Input is not ")
    if wanted.startswith(("greater", "less")):
        return f"a value {wanted}"
    return "more values" if wanted == "Field required" else wanted
