import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, ValidationError

from sweeper.space.copies import Template, deep_copy


@dataclass
class Shape:
    sides: dict[str, int] = field(default_factory=lambda: {"a": 1})
    radius: float | None = None


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")

    def __deepcopy__(self, memo: Any) -> "Unpicklable":
        return self


def config() -> DictConfig:
    root = OmegaConf.create({"x": [1, "${y}"], "y": "???", "inner": {"z": None}})
    root.shape = OmegaConf.structured(Shape)
    OmegaConf.set_readonly(root.inner, True)
    return root


@pytest.mark.parametrize("copied", [deep_copy, lambda c: Template(c).copy()])
def test_a_copy_has_the_values_the_types_and_the_flags(copied) -> None:
    original = config()
    made = copied(original)
    assert OmegaConf.to_container(made) == OmegaConf.to_container(original)
    assert OmegaConf.is_readonly(made.inner)
    with pytest.raises(ValidationError):
        made.shape.sides.b = "text"


@pytest.mark.parametrize("copied", [deep_copy, lambda c: Template(c).copy()])
def test_a_change_of_one_does_not_reach_the_other(copied) -> None:
    original = config()
    made = copied(original)
    original.x[0], made.shape.sides.a = 5, 7
    assert (made.x[0], original.shape.sides.a) == (1, 1)


def test_an_inner_node_keeps_its_parent() -> None:
    original = OmegaConf.create({"y": 3, "inner": {"x": "${y}"}})
    assert deep_copy(original.inner).x == copy.deepcopy(original.inner).x == 3
    assert original.inner.x == 3


@pytest.mark.parametrize("copied", [deep_copy, lambda c: Template(c).copy()])
def test_what_cannot_be_pickled_is_copied_all_the_same(copied) -> None:
    original = OmegaConf.create({"x": Unpicklable(), "y": 1}, flags={"allow_objects": True})
    made = copied(original)
    made.y = 2
    assert (made.x, original.y) == (original.x, 1)
