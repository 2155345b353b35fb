import pytest

from sweeper.cli.arguments import parse_arguments
from sweeper.errors import ConfigError


def test_a_key_that_is_given_two_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="^checkpoint=a checkpoint=b: checkpoint has one value"):
        parse_arguments(["checkpoint=a", "--json", "checkpoint=b"], ["checkpoint"], ["--json"])


def test_a_key_may_repeat_its_value() -> None:
    arguments = parse_arguments(["checkpoint=a", "data.root=x", "checkpoint=a"], ["checkpoint"])
    assert arguments.values == {"checkpoint": "a"}
    assert arguments.overrides == ["data.root=x"]
