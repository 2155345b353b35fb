"""What the end-to-end tests need from the machine they run on."""

import os
import socket
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.fixture(scope="session")
def required() -> Callable[[T | None, str], T]:
    """Return a function that hands on what was found; else it skips, or fails in CI."""

    def require(found: T | None, name: str) -> T:
        if found is None:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(f"{name} is not installed here, and this test drives the real one")
        return found

    return require


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
