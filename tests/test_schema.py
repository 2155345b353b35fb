"""Tests of the validation of config values against the annotations of a target."""

import re
from typing import Literal

import pytest
from pydantic import PositiveInt
from torch import nn, optim

from sweeper.errors import ConfigError
from sweeper.schema import LOSS_RANGES, OPTIMIZER_RANGES, Fraction, Probability, checked


def target(
    size: PositiveInt | list[PositiveInt] = 1,
    rate: Probability = 0.0,
    part: Fraction = 0.5,
    kind: Literal["max", "average"] = "max",
    anything=None,
) -> None:
    """Do nothing; the signature is that of an option's target."""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"size": "3"}, {"size": 3}),
        ({"size": [1, 2]}, {"size": [1, 2]}),
        ({"rate": 0}, {"rate": 0.0}),
        ({"anything": {"a": 1}}, {"anything": {"a": 1}}),
    ],
)
def test_valid_values_are_converted_to_the_annotated_type(arguments, expected) -> None:
    assert checked("model", target, arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"^model\.size=0: expected .*greater than 0"),
        ({"size": 2.5}, r"^model\.size=2\.5: expected .*integer"),
        ({"size": "abc"}, r"^model\.size=abc: expected .*integer"),
        ({"size": [1, -1]}, r"^model\.size=\[1, -1\]: expected .*greater than 0"),
        ({"size": True}, r"^model\.size=true: expected a number"),
        ({"size": [1, True]}, r"^model\.size=\[1, True\]: expected a number"),
        ({"rate": 1.0}, r"^model\.rate=1\.0: expected .*less than 1"),
        ({"part": 0}, r"^model\.part=0: expected .*greater than 0"),
        ({"kind": "maximum"}, r"^model\.kind=maximum: expected 'max' or 'average'"),
        ({"sise": 1}, r"^model has no key sise; did you mean size\?"),
    ],
)
def test_the_error_of_a_bad_value_names_key_value_and_expected_type(
    arguments, message, refuses
) -> None:
    with refuses(ConfigError, message):
        checked("model", target, arguments)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (float, "10%", "a valid number; type k=0.1"),
        (int, "10k", "a valid integer; type k=10000"),
        (int, "1m", "a valid integer; type k=1000000"),
        (int, "10k5", "a valid integer"),
        (float, "1.2.3k", "a valid number"),
        (float | None, "None", "a valid number; type k=null"),
        (float, "None", "a valid number"),
        (Literal["minimize", "maximize"], "max", "'minimize' or 'maximize'; type k=maximize"),
        (Literal["minimize", "maximize"], "Minimise", "'minimize' or 'maximize'; type k=minimize"),
        (Literal["fp32", "fp16"], 16, "'fp32' or 'fp16'; type k=fp16"),
        (int, 1e20, "an integer of fewer digits"),
    ],
)
def test_what_is_meant_is_named_if_the_key_takes_it(annotation, value, message, refuses) -> None:
    def takes(k: annotation) -> None: ...

    with refuses(ConfigError, rf"^k={re.escape(str(value))}: expected {re.escape(message)}$"):
        checked("", takes, {"k": value})


def own(p: float, betas: tuple[float, float, float], rho: float, reduction: str) -> None:
    """Do nothing; the signature is that of a loss and an optimizer of one's own."""


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (own, {"p": 0.5, "betas": (0.9, 1.0, 2.0), "rho": 2.0, "reduction": "median"}),
        (nn.TripletMarginLoss, {"p": 3.0}),
        (nn.MultiMarginLoss, {"p": 2}),
        (optim.Adafactor, {"eps": (1e-30, 1e-3)}),
        (optim.Adafactor, {"eps": (None, 1e-3)}),
        (optim.ASGD, {"alpha": 1.0}),
    ],
)
def test_ranges_hold_for_the_classes_that_need_them_only(target, arguments) -> None:
    assert checked("", target, arguments, OPTIMIZER_RANGES | LOSS_RANGES) == arguments


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (nn.MultiMarginLoss, {"p": 3}),
        (nn.CrossEntropyLoss, {"label_smoothing": 2.0}),
        (optim.Adam, {"betas": [0.9, 1.5]}),
        (optim.Adam, {"eps": -1.0}),
        (optim.RMSprop, {"alpha": 1.5}),
        (optim.Adadelta, {"rho": 1.5}),
        (optim.Adafactor, {"eps": 1e-3}),
    ],
)
def test_a_value_that_torch_finds_wrong_too_late_is_named(target, arguments, refuses) -> None:
    (name,) = arguments
    with refuses(ConfigError, rf"^x\.{name}="):
        checked("x", target, arguments, OPTIMIZER_RANGES | LOSS_RANGES)
