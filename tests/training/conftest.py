"""A fixture that compares the content of two checkpoints."""

from collections.abc import Callable

import pytest
import torch


@pytest.fixture
def same() -> Callable[[object, object], None]:
    """Return a function that asserts that two checkpoints are equal except for times and ids."""
    return assert_same


def assert_same(one: object, other: object, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one.keys() - {"config", "epoch_seconds", "images_per_second", "run_id"}:
            assert_same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{path}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path
