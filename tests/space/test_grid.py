import pytest

from sweeper.errors import ConfigError
from sweeper.space.grid import full_grid, required_grid


def test_the_last_axis_varies_fastest_as_in_hydras_own_sweeper(live) -> None:
    grid = full_grid(live("x=1,2", "shape=sphere,plane"))
    assert [tuple(p.values()) for p in grid] == [
        (1, "sphere"), (1, "plane"), (2, "sphere"), (2, "plane"),
    ]  # fmt: skip


def test_a_search_block_is_combined_only_with_its_own_option(live) -> None:
    grid = full_grid(live("shape=sphere,plane", "++shape.tilt=0.5", auto=True))
    shapes = [p["shape"] for p in grid]
    assert (shapes.count("sphere"), shapes.count("plane")) == (6, 3)
    assert all(("shape.radius" in p) == (p["shape"] == "sphere") for p in grid)


def test_a_space_without_parameters_has_one_point(live) -> None:
    assert list(full_grid(live(auto=False))) == [{}]


def test_an_interval_has_no_list_of_points(live) -> None:
    space = live("x=interval(0,1)")
    assert full_grid(space) is None
    with pytest.raises(ConfigError, match=r"cannot list the points of x.*choice\(\) or range\(\)"):
        required_grid(space)
