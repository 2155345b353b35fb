import pytest

from sweeper.cli.unsearched import unsearched_line

PARAMS = {"a": "choice(1, 2)", "b": "choice(1, 2)"}
NESTED = {"a": {"x": "choice(1, 2)", "y": {"z": "choice(1, 2)"}}, "+b": "choice(1, 2)"}


@pytest.mark.parametrize(
    ("overrides", "params", "first"),
    [
        (["search=cnn"], PARAMS, "search=cnn"),
        (["search=cnn", "a=1"], PARAMS, "search=cnn"),
        (["a=1", "hydra.sweeper.n_trials=3"], None, "hydra.sweeper.n_trials=3"),
        (["search=cnn", "a=1", "b=2"], PARAMS, None),
        (["search=mine", "a.x=1", "++a.y.z=2"], NESTED, "search=mine"),
        (["search=mine", "a.x=1", "++a.y.z=2", "+b=3"], NESTED, None),
        (["search=none", "a=1"], None, None),
        ([], None, None),
    ],
)
def test_a_single_run_says_that_it_searches_nothing(overrides, params, first) -> None:
    line = unsearched_line(overrides, params, "add --multirun")
    told = f"{first}: nothing is searched in a single run; add --multirun to start a study"
    assert line == (None if first is None else told)
