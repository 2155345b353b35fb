import pytest

from sweeper.sweep.elsewhere.finding import Finding
from sweeper.sweep.elsewhere.fitting import fit, fitting_value


@pytest.fixture
def fitted(live):
    """Return a function that fits a finding into the space of some overrides."""

    def fit_into(lines, searched, config=None, auto=None):
        return fit(live(*lines, auto=auto), Finding(searched, (1.0,), config or {}))

    return fit_into


@pytest.mark.parametrize(
    ("sweep", "value", "expected"),
    [
        ("int(interval(0,5))", "2.5", None),
        ("int(interval(0,5))", 2.5, None),
        ("int(interval(0,5))", 3.0, 3),
        ("interval(0.0,5)", 2, 2.0),
        ("interval(0.0,5)", "1e-08", 1e-08),
        ("interval(0.0,5)", 5.1, None),
        ("interval(0.0,5)", "relu", None),
        ("choice(3,5)", "5", 5),
        ("choice(3,5)", 5.0, 5),
        ("choice(0,0.5)", "0.0", 0),
        ("choice([2,4],[8,16])", "[8, 16]", "[8,16]"),
        ("choice([a,b],[c,d])", "['a', 'b']", "[a,b]"),
        ("choice(true,false)", "True", True),
        ("choice(true,false)", 1, None),
        ("null,3", "None", "null"),
        ("choice(relu,gelu)", "relu", "relu"),
        ("range(0,10,3)", "6", 6),
        ("range(0,10,3)", "7", None),
    ],
)
def test_a_value_is_read_as_this_study_would_sample_it(live, sweep, value, expected) -> None:
    parameter = live(f"x={sweep}").space.parameters["x"]
    got = fitting_value(parameter, value)
    assert (got, type(got)) == (expected, type(expected))


def test_keys_that_are_not_searched_and_values_outside_are_dropped(fitted) -> None:
    got = fitted(["x=interval(0.0,5)", "steps=1,2"], {"x": 2, "steps": 7, "+y": 1})
    assert (got.point, got.unknown, got.outside) == ({"x": 2.0}, {"y"}, {"steps"})
    assert not got.is_whole


def test_names_with_an_option_map_by_their_key(fitted) -> None:
    source = {"shape": "plane", "shape.size@plane": 4, "shape.tilt": 0.5}
    got = fitted(["shape=plane,sphere"], source, auto=True)
    assert got.point == source
    assert (got.is_whole, got.unknown) == (True, frozenset())
    assert fitted(["shape.size=3,4"], {"shape.size@plane": 4}).point == {"shape.size": 4}


def test_what_the_source_did_not_search_completes_a_point(fitted) -> None:
    lines = ["x=interval(0.0,5)", "shape=plane,sphere"]
    got = fitted(lines, {"x": 1.0}, {"shape": "plane", "x": "3", "seed": "0"})
    assert (got.point, got.unknown) == ({"x": 1.0, "shape": "plane"}, frozenset())
