import pytest
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int

from sweeper.cli.overrides import override_line
from sweeper.errors import ConfigError
from sweeper.space.space import parse_space


@pytest.mark.parametrize(
    ("line", "distribution"),
    [
        ("k=1,2", Choice((1, 2))),
        ("k=null,1", Choice(("null", 1))),
        ("k=choice(2,2.5,true,a)", Choice((2, 2.5, True, "a"))),
        ("k=[16,32],[32,64]", Choice(("[16,32]", "[32,64]"))),
        ("k={a:1},{a:2}", Choice(("{a:1}", "{a:2}"))),
        ("k='a b','c,d'", Choice(("'a b'", "'c,d'"))),
        ("k='a',b", Choice(("a", "b"))),
        ("k=1,true,1.0", Choice(("1", "True", "1.0"))),
        ("k=nan,inf,1", Choice(("nan", "inf", 1))),
        ("k=range(1,4)", Int(1, 3)),
        ("k=range(1,8,3)", Int(1, 7, step=3)),
        ("k=range(0,1,0.25)", Float(0, 0.75, step=0.25)),
        ("k=range(3,0,-1)", Choice((3, 2, 1))),
        ("k=interval(1,5)", Float(1, 5)),
        ("k=int(interval(1,5))", Int(1, 5)),
        ("k=tag(log,interval(1e-4,1))", Float(1e-4, 1, log=True)),
        ("k=tag(log,int(interval(1,64)))", Int(1, 64, log=True)),
    ],
)
def test_a_sweep_is_read_as_a_distribution(line, distribution) -> None:
    assert parse_space([line]).parameters["k"].distribution == distribution


@pytest.mark.parametrize("line", ["k=1,2", "k=[1,2],[3]", "k='a b','c,d'", "k=a\\,b,c", "k=null,x"])
def test_a_choice_written_as_an_override_is_read_as_the_same_value(line) -> None:
    values = parse_space([line]).parameters["k"].values
    spaces = [parse_space([override_line("k", v)]) for v in values]
    assert not any(space.parameters for space in spaces)
    assert len({space.fixed["k"] for space in spaces}) == 2


@pytest.mark.parametrize("line", ["+k=1,2", "++k=1,2", "k@pkg=1,2", "+a/b@c=x,y"])
def test_prefix_and_package_are_part_of_the_key(line) -> None:
    assert list(parse_space([line]).parameters) == [line.partition("=")[0]]


@pytest.mark.parametrize("line", ["k=1", "+k=1", "~k", "~k=1", "k=[1,2]", "k='1,2'"])
def test_an_override_with_a_single_value_is_kept_as_typed(line) -> None:
    space = parse_space([line])
    assert list(space.fixed.values()) == [line]
    assert not space.parameters


@pytest.mark.parametrize(("lines", "swept"), [(["k=1,2", "k=3"], False), (["k=3", "k=1,2"], True)])
def test_the_last_override_of_a_key_counts(lines, swept) -> None:
    assert bool(parse_space(lines).parameters) is swept


@pytest.mark.parametrize(
    ("lines", "fixed", "swept"),
    [
        (["k=interval(0,1)", "++k=0.5"], ["++k=0.5"], []),
        (["k=0.5", "++k=interval(0,1)"], [], ["++k"]),
        (["k=interval(0,1)", "++k=interval(0,2)"], [], ["++k"]),
        (["+k=interval(0,1)", "k=0.5"], ["+k=0.5"], []),
        (["~k", "+k=0.5"], ["~k", "+k=0.5"], []),
    ],
)
def test_an_override_with_another_prefix_is_of_the_same_key(lines, fixed, swept) -> None:
    space = parse_space(lines)
    assert (list(space.fixed.values()), list(space.parameters)) == (fixed, swept)
    assert list(space.order) == [*space.fixed, *space.parameters]


@pytest.mark.parametrize("line", ["k=shuffle(1,2,3,4,5,6)", "k=shuffle(range(1,7))"])
def test_a_shuffle_is_the_same_in_every_process(line) -> None:
    first, second = (parse_space([line]).parameters["k"].values for _ in range(2))
    assert first == second
    assert sorted(first) == [1, 2, 3, 4, 5, 6]
    assert list(first) != sorted(first)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("k=interval(1,inf)", "needs finite bounds"),
        ("k=tag(log,interval(0,1))", "start above 0"),
        ("k=range(2,2)", "has no values"),
        ("k=1,1", "has a value twice"),
        ("k=a,'a'", "has a value twice"),
        ("k=0.3,0.30000000000000004", "numbers that agree in 12 digits"),
        ("k=range(1,1.0000000000001,0.00000000000001)", "numbers that agree in 12 digits"),
    ],
)
def test_a_sweep_that_cannot_be_sampled_is_refused(line, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_space([line])


@pytest.mark.parametrize(
    ("sweep", "advice"),
    [
        ("interval(0.1,0.01)", "interval(0.01,0.1)"),
        ("interval( 1e-1, 1e-04 )", "interval(1e-04,1e-1)"),
        ("interval(end=1,start=2)", "interval(1,2)"),
        ("int(interval(2.7,1.2))", "int(interval(1.2,2.7))"),
        ("tag(log,interval(1e-1,1e-4))", "tag(log,interval(1e-4,1e-1))"),
        ("tag(log,int(interval(9,1)))", "tag(log,int(interval(1,9)))"),
        ("int(tag(log,interval(9,1)))", "int(tag(log,interval(1,9)))"),
        ("interval(1,-1)", "interval(-1,1)"),
        ("range(5,1)", "range(1,5)"),
        ("range(-3)", "range(-3,0)"),
        ("range(stop=1,start=5)", "range(1,5)"),
        ("float(range(5,1,2))", "float(range(1,5,2))"),
        ("shuffle(range(5,1))", "shuffle(range(1,5))"),
        ("range(1,5,-1)", "range(1,5,1)"),
        ("range(0.5,0.1,step=0.1)", "range(0.1,0.5,0.1)"),
    ],
)
def test_a_sweep_whose_bounds_are_in_the_wrong_order_is_refused_with_the_right_one(
    sweep, advice
) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_space([f"k={sweep}"])
    assert str(raised.value).startswith(f"k={sweep}: ")
    assert str(raised.value).endswith(f"type 'k={advice}'")
    assert parse_space([f"k={advice}"]).parameters


@pytest.mark.parametrize(
    ("lines", "auto", "expected"),
    [([], None, True), (["k=1"], None, True), (["k=1,2"], None, False), (["k=1,2"], True, True)],
)
def test_search_blocks_are_used_on_request_or_if_nothing_is_swept(lines, auto, expected) -> None:
    assert parse_space(lines, auto=auto).auto is expected
