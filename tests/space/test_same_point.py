import pytest

from sweeper.space.same_point import point_key, same_point


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"x": 0.3}, {"x": 0.1 + 0.2}, True),
        ({"x": 1, "y": "a"}, {"y": "a", "x": 1.0}, True),
        ({"x": 1e-5}, {"x": 1.001e-5}, False),
        ({"x": True}, {"x": 1}, False),
        ({"x": "1"}, {"x": 1}, False),
        ({"x": None}, {"x": "None"}, False),
        ({"x": 2**53}, {"x": 2**53 + 1}, False),
        ({"x": 1}, {"x": 1, "y": 2}, False),
    ],
)
def test_points_are_compared_by_their_values(one, other, same) -> None:
    assert (point_key(one) == point_key(other)) == same
    assert same_point(one, other) == same
