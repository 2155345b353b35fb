"""The rooms of the package: which modules lie in the root, and who may import whom.

Imports count wherever they stand: at the top, inside a function, or for type checking only.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sweeper

PACKAGE = Path(sweeper.__file__).parent
TESTS = Path(__file__).parents[1]

COMMANDS = {"__main__", "app", "inspect", "evaluate", "predict", "worker", "explain"}
GROUND = {
    *("concealment", "errors", "files", "hydra_settings", "hydra_state", "hydra_versions"),
    *("interpolations", "locks", "objectives", "schema", "secrets", "text", "trial", "yaml_text"),
}
"""Shared by all; one of them may import another."""

ARROWS = {
    # control: searches, and loads neither torch nor MLflow
    "plugin": {"sweep", "launch"},
    "sweep": {"space", "launch", "tracking", "figures", "cli"},
    "space": {"cli"},
    "launch": {"cli"},
    "worker": {"sweep", "cli"},
    "explain": {"sweep", "figures", "cli"},
    # work: trains
    "__main__": {"app", "launch", "cli"},  # starts to import torch for the workers early
    "sweeper": {"api"},
    "api": {"app", "run", "sweep", "space", "training", "tracking", "configs", "cli"},
    "app": {"run", "configs", "cli"},
    "inspect": {"build", "summary", "figures", "data", "configs", "cli"},
    "evaluate": {"run", "training", "data", "cli"},
    "predict": {"run", "figures", "data", "cli"},
    "run": {
        *("build", "training", "summary", "metrics", "data", "tracking", "figures"),
        *("configs", "cli"),
    },
    "build": {"training", "models", "losses", "data", "tracking"},
    "training": {"losses", "metrics", "data", "summary", "tracking", "figures"},
    "losses": {"metrics"},
    "tracking": {"figures"},
    "configs": {"models"},
    "cli": {"configs"},  # the words that a command line may use are those of the config groups
    # these know the shared ground alone
    **dict.fromkeys(["data", "figures", "metrics", "models", "summary"], set()),
    **dict.fromkeys(GROUND, set()),
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
ROOMS = [n for n, path in MODULES.items() if path.name == "__init__.py" and path.parent != PACKAGE]


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def arrows_of(modules: dict[str, Path]) -> dict[str, set[str]]:
    return {name: set(imported(path)) - {name} for name, path in modules.items()}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_rooms_below_its_own(module: str) -> None:
    own = room(module)
    allowed = ARROWS.get(own, set()) | GROUND | {own, "sweeper"}
    upward = [f"{module} -> {target}" for target in imported(MODULES[module])
              if room(target) not in allowed]  # fmt: skip
    assert not upward


def test_no_rooms_arrow_leads_back_to_it() -> None:
    assert circle(ARROWS) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(arrows_of(MODULES)) == []


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return a circle as its members in order, the first one again at the end; or nothing."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_arrow_is_used() -> None:
    used: dict[str, set[str]] = {}
    for module, targets in arrows_of(MODULES).items():
        used.setdefault(room(module), set()).update(map(room, targets))
    unused = {f"{own} -> {other}" for own, others in ARROWS.items() for other in others
              if other not in used[own]}  # fmt: skip
    assert not unused


def test_the_root_holds_commands_and_the_ground_that_all_share() -> None:
    root = {path.stem for path in PACKAGE.glob("*.py")}
    assert root == COMMANDS | GROUND | {"__init__", "configs"}


def test_no_two_files_have_the_same_name() -> None:
    names = Counter(path.name for path in MODULES.values() if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []
    tests = Counter(path.name for path in TESTS.rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in tests.items() if count > 1] == []


def test_every_room_says_what_it_is_for() -> None:
    silent = [name for name, path in MODULES.items() if not ast.get_docstring(_tree(path))]
    assert silent == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_each_of_its_files(room: str) -> None:
    folder, text = MODULES[room].parent, ast.get_docstring(_tree(MODULES[room])) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert modules | folders <= _named(text)


def test_only_the_build_room_instantiates() -> None:
    calling = {room(name) for name, path in MODULES.items() if "instantiate(" in path.read_text()}
    assert calling - {"sweep"} == {"build"}  # the sweeper asks Hydra for its launcher


def _named(docstring: str) -> set[str]:
    """Return the words of a docstring that are in backticks or in the first columns of a list."""
    columns = (re.split(r"\s{2,}", line.strip()) for line in docstring.splitlines())
    return {cell.rstrip("/") for row in columns for cell in row} | {
        *re.findall(r"`(\w+)`", docstring)
    }


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
