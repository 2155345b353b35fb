from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from sweeper.yaml_text import yaml_text


class Color(Enum):
    RED = 1


LONG = "a long text " * 20

CONTENTS: dict[str, Any] = {
    "empty": {},
    "plain": {"a": 1, "b": {"c": [1, 2.5, None, True], "d": {}}, "e": []},
    "texts": {"a": {"b": {"yes": "no", "n": "1e3", "x": "", "long": LONG, "lines": "a\nb\n"}}},
    "odd texts": {"a": {"é\u2028": "\u0085 ☃ 💥", "tab": "\t", "colon: x": {"#": "# a: b"}}},
    "keys": {1: {"a": 1}, 2: True, 1.5: [3], "k" * 200: {"a": {"b": 1}}, "null": {"y": 1}},
    "floats": {"a": {"inf": float("inf"), "small": 1e-05, "one": 1.0, "int": 1, "bool": True}},
    "enums": {"a": {"b": Color.RED}},
    "others": {"a": {"path": Path("x/y"), "bytes": b"\x00"}},
    "interpolations": {"a": {"b": "${c}", "c": "???", "d": "${oc.env:X}"}},
    "lists": {"a": [{"b": [{"c": LONG}]}]},
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_the_text_is_that_of_omegaconf(content) -> None:
    config = OmegaConf.create(content)
    assert yaml_text(config) == OmegaConf.to_yaml(config)
    assert yaml_text(config) == OmegaConf.to_yaml(config)  # its blocks are known now


def test_values_that_are_equal_but_of_other_types_are_told_apart() -> None:
    texts = [yaml_text({"a": {"b": value}}) for value in (1, True, 1.0, "1")]
    assert texts == ["a:\n  b: 1\n", "a:\n  b: true\n", "a:\n  b: 1.0\n", "a:\n  b: '1'\n"]


def test_a_list_and_a_text_of_an_option_have_a_text_too() -> None:
    for config in (OmegaConf.create(["x=1", "y=2"]), OmegaConf.create({"a": "${b}"})):
        assert yaml_text(config) == OmegaConf.to_yaml(config)
