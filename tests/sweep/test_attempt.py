import pytest
from omegaconf import OmegaConf

from sweeper.errors import ConfigError
from sweeper.sweep.attempt import DEVIATION_KEY, first_seed, mean_verdict


def test_the_value_is_the_mean_of_the_seeds_with_its_deviation() -> None:
    verdict = mean_verdict([(1.0, 10.0), (2.0, 10.0), (3.0, 10.0)])
    assert verdict.values == (2.0, 10.0)
    assert verdict.user_attrs == {DEVIATION_KEY: [1.0, 0.0]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"is not there; type \+seed=0"),
        ({"seed": "abc"}, "is abc; type seed=0"),
        ({"seed": True}, "is True"),
        ({"seed": 1.5}, "is 1.5"),
        ({"seed": None}, "is null; type seed=0"),
    ],
)
def test_the_first_seed_must_be_a_whole_number(config, message) -> None:
    with pytest.raises(ConfigError, match=message):
        first_seed(OmegaConf.create(config))


def test_the_first_seed_is_that_of_the_config() -> None:
    assert first_seed(OmegaConf.create({"base": 3, "seed": "${base}"})) == 3
