import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from sweeper.space.grammar import sweep_text


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (FloatDistribution(1e-4, 0.1, log=True), "tag(log,interval(0.0001,0.1))"),
        (FloatDistribution(0.0, 1.0), "interval(0.0,1.0)"),
        (FloatDistribution(0.0, 1.0, step=0.25), "range(0.0,1.125,0.25)"),
        (IntDistribution(1, 9), "int(interval(1,9))"),
        (IntDistribution(2, 10, step=2), "range(2,12,2)"),
        (IntDistribution(1, 9, log=True), "tag(log,int(interval(1,9)))"),
        (CategoricalDistribution(["[1,2]", 3, "relu"]), "choice([1,2],3,relu)"),
    ],
)
def test_a_distribution_is_told_as_the_sweep_that_gives_it(distribution, text: str) -> None:
    assert sweep_text(distribution_to_json(distribution)) == text
