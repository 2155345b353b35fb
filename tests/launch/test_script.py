"""What the script of a task defines, and the main module of a worker process."""

import importlib
import pickle
import sys
from typing import Any

import pytest

from sweeper.errors import ConfigError
from sweeper.launch.script import MAX_BYTES, definitions, enter_script, pickled_task

SCRIPT = f"""
import threading

data, lock = bytes({MAX_BYTES}), threading.Lock()

def used():
    return 1

def task(cfg):
    return used()

class Net:
    number = 2

def make():
    return Net()

def large():
    return len(data)

def locked(cfg):
    with lock:
        return 0
"""


@pytest.fixture
def script(monkeypatch) -> dict[str, Any]:
    """Return the variables of a script, and let a test replace the main module."""
    for name in ("__main__", "__mp_main__"):
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(SCRIPT, variables)
    return variables


def test_the_main_module_has_what_the_script_defines_and_the_task_does_not_use(script) -> None:
    defined = definitions(script["task"])
    assert defined.keys() == {"used", "task", "Net", "make"}  # the others are too large or locked
    task = pickle.loads(pickled_task(script["task"]))
    enter_script(task, defined)
    main = importlib.import_module("__main__")
    assert main.used is task.__globals__["used"]
    assert isinstance(main.make(), main.Net)
    assert main.Net.number == 2
    with pytest.raises(AttributeError, match="'__main__' has no attribute 'large'"):
        _ = main.large


def test_the_script_of_a_task_that_can_be_imported_is_left_alone() -> None:
    before = sys.modules["__main__"]
    assert definitions(pickled_task) == {}
    enter_script(pickled_task, {})
    assert sys.modules["__main__"] is before


def test_a_task_that_cannot_be_pickled_is_named(script, refuses) -> None:
    with refuses(ConfigError, r"^__main__\.locked: this task uses .* \(TypeError: cannot pickle"):
        pickled_task(script["locked"])
