"""Who may import whom: three storeys, and no way back up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sweeper

PACKAGE = Path(sweeper.__file__).parent
SHARED = {"errors", "schema", "objectives", "trial", "console", "text"}
BELOW = {
    "__main__": {"app"},
    "app": {"run", "build", "messages", "models"},
    "inspect": {"app", "run", "build", "messages", "models"},
    "run": {"build", "training", "tracking", "models"},
    "build": {"options", "option", "training"},
    "evaluate": {"restore", "arguments", "training", "data"},
    "predict": {"restore", "arguments", "data", "tracking"},
    "restore": {"app", "build", "options", "trust", "arguments", "training", "data"},
    "trust": {"app"},
    "arguments": {"messages"},
    "options": {
        "option",
        "loss_option",
        "callback_option",
        "updates_option",
        "training",
        "models",
        "losses",
        "data",
        "tracking",
    },
    "training": {"models", "losses", "data", "tracking"},
    "models": set(),
    "losses": set(),
    "data": set(),
    "tracking": set(),
    "callback_option": {"option", "training"},
    "updates_option": {"option", "training"},
    "loss_option": {"option", "losses", "data"},
    "option": set(),
    "messages": set(),
    "plugin": {"sweep", "launch"},
    "sweep": {"launch", "tracking"},
    "launch": set(),
    **{name: SHARED for name in SHARED},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "sweeper":
                names = [f"sweeper.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("sweeper."):
                yield name.split(".")[1]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_knows_only_those_below_it(path: Path) -> None:
    own = room(path)
    strangers = set(imported(path)) - BELOW[own] - SHARED - {own}
    assert not strangers
