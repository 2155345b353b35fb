import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweeper.errors import ConfigError
from sweeper.space.search_space import searched
from sweeper.space.sweep_lines import sweep_lines


@pytest.mark.parametrize(
    ("params", "lines"),
    [
        ({"x": "choice(1,2)"}, ["x=choice(1,2)"]),
        ({"a.b": "1,2", "c": {"d": {"e": "3"}}}, ["a.b=1,2", "c.d.e=3"]),
        ({"x": 1.5, "y": None, "z": True, "+w": "a"}, ["x=1.5", "y=null", "z=True", "+w=a"]),
        ({}, []),
    ],
)
def test_params_become_overrides(params, lines) -> None:
    assert sweep_lines(params) == lines


def test_a_list_is_refused_with_both_of_its_readings() -> None:
    with pytest.raises(ConfigError, match=r'"choice\(1,a\)" to search.* or "\[1,a\]" for a fixed'):
        sweep_lines({"x": [1, "a"]})


@pytest.mark.parametrize(
    ("distribution", "sweep"),
    [
        ({"type": "categorical", "choices": [1, "a b", None]}, "choice(1,'a b',null)"),
        ({"type": "int", "low": 0, "high": 10}, "int(interval(0,10))"),
        ({"type": "int", "low": 0, "high": 10, "step": 2}, "range(0,11,2)"),
        ({"type": "int", "low": 1, "high": 9, "log": True}, "tag(log,int(interval(1,9)))"),
        ({"type": "float", "low": 0, "high": 1}, "interval(0.0,1.0)"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.5}, "range(0.0,1.25,0.5)"),
        ({"type": "float", "low": 0.1, "high": 1, "log": True}, "tag(log,interval(0.1,1.0))"),
    ],
)
def test_a_distribution_of_hydra_1_1_becomes_a_sweep_with_a_warning(
    distribution, sweep, caplog
) -> None:
    assert searched({}, {"x": distribution}) == {"x": sweep}
    word = shlex.split(caplog.messages[-1].partition("search_space is deprecated; type ")[2])[0]
    assert OverridesParser.create().parse_override(word).value() == {"x": sweep}


def test_params_count_instead_of_the_old_search_space(caplog) -> None:
    old = {"x": {"type": "int", "low": 0, "high": 1}}
    assert searched({"x": "1,2"}, old) == {"x": "1,2"}
    assert "is ignored" in caplog.text


@pytest.mark.parametrize("key", ["x", "optimizer.lr", "a b"])
def test_a_refused_distribution_is_replaced_by_a_sweep_to_paste(key) -> None:
    with pytest.raises(ConfigError) as error:
        searched({}, {key: {}})
    word = shlex.split(str(error.value).partition("so type ")[2])[0]
    assert OverridesParser.create().parse_override(word).value() == {key: "interval(0.1,1)"}


@pytest.mark.parametrize(
    "wrong",
    ["interval(0,1)", {"type": "normal"}, {"type": "int", "low": 0}, {"low": 0, "high": 1},
     {"type": "categorical", "choices": []}, {"type": "float", "low": "a", "high": 1}],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=r"search_space: x is not a distribution.*params=\{x:"):
        searched({}, {"x": wrong})
