import shlex
from datetime import datetime
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweeper.cli import overrides as module
from sweeper.cli.overrides import command_line, override_line, override_text, quoted, to_type


@pytest.mark.parametrize(
    "text",
    [
        "plain/path-1.pt",
        "with space",
        "käse/日本",
        "it's",
        "back\\slash",
        "both\\'",
        "end\\",
        "a,b=c",
        "null",
        "True",
        "12",
        "1_000",
        "-1.5e3",
        "nan",
        "",
    ],
)
def test_hydra_reads_a_quoted_text_back(text) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"key={quoted(text)}"])
    assert override.value() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("null", "'null'"),
        (Path("a b"), "'a b'"),
        ([1, "1", [True, None]], "[1,'1',[True,null]]"),
        ({"a b": {"c": "d"}, 1: 2}, "{a\\ b:{c:d},1:2}"),
        (datetime(2026, 1, 2), "'2026-01-02 00:00:00'"),
        (b"x", "'b\\'x\\''"),
    ],
)
def test_a_plain_value_becomes_the_text_of_an_override(value, text) -> None:
    assert override_text(value) == text
    (override,) = OverridesParser.create().parse_overrides([f"key={text}"])
    assert override_text(override.value()) == text


@pytest.mark.parametrize(
    ("value", "line"), [(None, "x=null"), (0.5, "x=0.5"), ("[1,2]", "x=[1,2]")]
)
def test_a_value_becomes_an_override(value, line) -> None:
    assert override_line("x", value) == line


def test_the_command_keeps_the_config_options_and_quotes_the_overrides(monkeypatch) -> None:
    argv = ["app.py", "--multirun", "-cd", "my conf", "--config-name=b", "x=1,2"]
    monkeypatch.setattr(module.sys, "argv", argv)
    monkeypatch.setattr(module.sys.modules["__main__"], "__spec__", None)
    command = command_line(["x=[1, 2]"])
    assert shlex.split(command) == [
        "python", "app.py", "-cd", "my conf", "--config-name=b", "x=[1, 2]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "override",
    ["n=3", "s={a: 3}", "s={a: '1,2'}", """s={a: "it's $HOME"}""", "s=[a*]", "s='!'", "s='a`b'"],
)
def test_a_shell_reads_what_a_message_says_to_type(override) -> None:
    assert shlex.split(to_type(override)) == ["type", override]
