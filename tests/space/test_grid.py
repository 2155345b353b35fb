import pytest

from sweeper.errors import ConfigError
from sweeper.space import grid as grids
from sweeper.space.grid import all_points, full_grid, required_grid


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


MANY = tuple(f"+x{i}={','.join(map(str, range(10)))}" for i in range(19))


@pytest.mark.parametrize(
    ("lines", "n"),
    [
        (MANY[:18], 10**18),
        (MANY, None),
        (("x=int(interval(1,1000000000000))", *MANY[:6]), 10**18),
        (("x=int(interval(0,1e19))",), None),
        (("x=int(interval(0,1e19))", "shape=sphere,plane"), None),
    ],
)
def test_a_space_with_too_many_points_to_count_is_like_an_infinite_one(live, lines, n) -> None:
    points = all_points(live(*lines, auto=False))
    assert points is None if n is None else len(points) == n


def test_the_grid_sampler_refuses_such_a_space(live, refuses) -> None:
    with refuses(ConfigError, "so large a space; type fewer values, or hydra/sweeper/sampler="):
        required_grid(live(*MANY, auto=False))


def test_choices_of_options_are_not_listed_if_they_are_too_many(live, monkeypatch) -> None:
    monkeypatch.setattr(grids, "MAX_CHOICES", 1)
    lines = ("shape=sphere,plane", "++shape.tilt=0.5")
    assert all_points(live(*lines, auto=True)) is None
    assert len(all_points(live(*lines, auto=False))) == 2
