"""Validation of config values, and the types that need more than Python's.

An option is a `_target_` with plain arguments. The signature of the target is therefore its
schema: each value is validated against the annotation of its parameter, including its range.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

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
from sweeper.text import did_you_mean, in_one_line, near_names

Parsed = TypeVar("Parsed")

ImageShape = tuple[int, int, int]
"""The shape (C, H, W) of an image: channels, height and width."""

Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]

OPTIMIZER_RANGES: Mapping[str, Any] = {
    "lr": PositiveFloat,
    "adamw_lr": PositiveFloat,
    "momentum": NonNegativeFloat,
    "weight_decay": NonNegativeFloat,
    "eps": NonNegativeFloat,
    "Adafactor.eps": tuple[NonNegativeFloat | None, PositiveFloat],
    "RMSprop.alpha": Probability,
    "Adadelta.rho": Probability,
    "betas": tuple[Probability, Probability],
    "adamw_betas": tuple[Probability, Probability],
}
"""Ranges of optimizer arguments. torch annotates them as `float`; its errors name no argument.

A name that starts with a class applies to this class only.
"""

SCHEDULER_RANGES: Mapping[str, Any] = {
    "step_size": PositiveInt,
    "gamma": PositiveFloat,
    "eta_min": NonNegativeFloat,
    "power": NonNegativeFloat,
    "ReduceLROnPlateau.factor": Fraction,
    "patience": NonNegativeInt,
    "threshold": NonNegativeFloat,
    "threshold_mode": Literal["rel", "abs"],
    "cooldown": NonNegativeInt,
    "min_lr": NonNegativeFloat,
}

LOSS_RANGES: Mapping[str, Any] = {
    "label_smoothing": UnitInterval,
    "reduction": Literal["mean", "sum", "none", "batchmean"],
    "MultiMarginLoss.p": Literal[1, 2],
}
"""Ranges of loss arguments. torch checks these only when the loss is first computed."""

UNITS = {"%": 0.01, "k": 1e3, "m": 1e6}
"""What people write after a number, and Hydra leaves in it as text."""

FILLED_IN = {"self", "params", "output_weight", "optimizer", "input_shape", "num_classes"}
"""Parameters of targets that the run fills in. Messages do not suggest them as keys."""


def checked(
    path: str,
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    ranges: Mapping[str, Any] | None = None,
    types: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the arguments, validated and converted to the annotations of the target.

    path: the config key of the option, such as "model", or "" for the root; messages quote it.
    ranges: types that replace annotations of torch's and sweeper's own targets, by parameter name.
        The annotations of other targets are their schema.
    types: types that replace annotations of any target, by parameter name.

    Raises:
        ConfigError: the target has no such parameter, or a value has the wrong type or range.
    """
    parameters = inspect.signature(target).parameters
    hints = _annotations(target) | _ranges_of(target, ranges or {}) | dict(types or {})
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    result = {}
    for name, value in arguments.items():
        if name not in parameters and not takes_any:
            known = parameters.keys() - FILLED_IN
            owner = path or "the config"
            raise ConfigError(f"{owner} has no key {name}; {did_you_mean(name, known)}")
        result[name] = _validated(_key(path, name), hints.get(name, Any), value)
    return result


def parsed(path: str, kind: type[Parsed], values: Mapping[str, Any]) -> Parsed:
    """Return the dataclass `kind` with these values; `path` is their config key, or "".

    Raises:
        ConfigError: a value is missing or unknown, or has the wrong type or range.
    """
    arguments = checked(path, kind, values)
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            key = _key(path, name)
            raise ConfigError(f"{key} has no value: type {key}=VALUE instead of removing it")
    return kind(**arguments)


def _key(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _annotations(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(
            target.__init__ if inspect.isclass(target) else target,
            include_extras=True,
        )
    except (NameError, TypeError):
        return {}  # some annotations can be evaluated only by a type checker


def _ranges_of(target: Callable[..., Any], ranges: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ranges of a target by parameter name, such as `eps` or `Adafactor.eps`."""
    if not str(getattr(target, "__module__", "")).startswith(("torch.", "sweeper.")):
        return {}
    name = f"{getattr(target, '__name__', '')}."
    special = {key.removeprefix(name): kind for key, kind in ranges.items() if key.startswith(name)}
    return {**ranges, **special}


def _validated(key: str, annotation: Any, value: Any) -> Any:
    adapter = _adapter(annotation)
    if adapter is None:
        return value  # pydantic cannot validate this annotation; the target checks the value
    try:
        result = adapter.validate_python(value)
    except ValidationError as error:
        expected = dict.fromkeys(_expected(e["msg"]) for e in error.errors())
        shown = "null" if value is None else in_one_line(str(value))
        problem = f"{key}={shown}: expected {' or '.join(expected)}"
        words = [word for word in _words(annotation) if isinstance(word, str)]
        meant = [each for each in dict.fromkeys(meanings(value, words)) if _suits(adapter, each)]
        hint = " or ".join(f"{key}={each}" for each in meant)
        raise ConfigError(f"{problem}; type {hint}" if hint else problem) from None
    if _holds_bool_for_number(value, result):
        shown = str(value).lower() if isinstance(value, bool) else value
        raise ConfigError(f"{key}={shown}: expected a number")
    if isinstance(result, float) and not math.isfinite(result):
        raise ConfigError(f"{key}={value}: expected a finite number")
    return result


def meanings(value: Any, words: Sequence[str] = ()) -> Iterator[str]:
    """Yield what may be meant by a value that a key does not take, as it is typed.

    That is Python's None, a number with a unit, or one of `words` that is alike.
    """
    text = str(value).strip()
    if text.lower() in ("none", "nil"):
        yield "null"
    if number := re.fullmatch(r"(-?\d*\.?\d+)\s*([%kKmM])", text):
        meant = float(number[1]) * UNITS[number[2].lower()]
        yield f"{meant:.0f}" if meant.is_integer() else f"{meant:g}"
    yield from near_names(text, words, cutoff=0.75)
    yield from (word for word in words if word.startswith(text) and len(text) > 1)
    yield from (word for word in words if text.isdigit() and word.endswith(text))


def _words(annotation: Any) -> Iterator[Any]:
    """Yield the values of each `Literal` in an annotation."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for inner in get_args(annotation):
            yield from _words(inner)


def _suits(adapter: TypeAdapter[Any], text: str) -> bool:
    """Return whether a type takes a value that is typed so."""
    try:
        adapter.validate_python(None if text == "null" else text)
    except ValidationError:
        return False
    return True


def _holds_bool_for_number(value: Any, result: Any) -> bool:
    """Return whether a boolean, also one in a list, was converted to a number."""
    if isinstance(value, list) and isinstance(result, list | tuple):
        return any(map(_holds_bool_for_number, value, result))
    return isinstance(value, bool) and not isinstance(result, bool)


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    """Return pydantic's validator of a type, or None if it has none."""
    try:
        hash(annotation)
    except TypeError:
        return _new_adapter(annotation)
    return _known_adapter(annotation)


def _new_adapter(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None


_known_adapter = lru_cache(maxsize=512, typed=True)(_new_adapter)
"""The validator, kept for the next trial: to make one takes longer than to use it."""


def _expected(message: str) -> str:
    """Return a message of pydantic as the object of "expected"."""
    for prefix in ("Input should be ", "Input is not ", "Value error, "):
        message = message.removeprefix(prefix)
    message = message.partition(", unable to parse")[0]  # which says the same in other words
    if "exceeded maximum size" in message:
        return "an integer of fewer digits"
    expected = re.sub(r"^List should have (.+?) items?.*", r"a list of \1 values", message)
    if "a valid boolean" in expected:
        return "true or false"
    if expected.startswith(("greater", "less")):
        return f"a value {expected}"
    return "more values" if expected == "Field required" else expected
