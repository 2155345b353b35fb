"""The scripts beside the package, which no other test loads: what they import from it exists."""

import ast
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "benchmarks").rglob("*.py")), ROOT / "docs/pictures.py"]


@pytest.mark.parametrize("script", SCRIPTS, ids=[str(s.relative_to(ROOT)) for s in SCRIPTS])
def test_what_a_script_imports_from_the_package_exists(script) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    compile(tree, script, "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}:{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(("sweeper.", "sweeper:")):
                resolve_name(name)
