import pytest

from sweeper.cli.repeated import repeated_lines


@pytest.mark.parametrize(
    ("overrides", "unused", "counting"),
    [
        (["optimizer.lr=0.1", "optimizer.lr=0.2"], "optimizer.lr=0.1", "optimizer.lr=0.2"),
        (["a=1", "b=1", "++a=2"], "a=1", "++a=2"),
        (["a=1", "a=1.0"], "a=1", "a=1.0"),
        (["a=1", "a=true"], "a=1", "a=true"),
        (["a=1", "a=1", "a=2"], "a=1", "a=2"),
        (["model=cnn,lenet", "model=mlp"], "model=cnn,lenet", "model=mlp"),
        (["a=3", "a=interval(1,2)"], "a=3", "a=interval(1,2)"),
        (["a=1", "~a"], "a=1", "~a"),
        (["a={x:1,y:2}", "a.x=3", "a.y=4"], "a={x:1,y:2}", "a.x=3 and a.y=4"),
        (["a.x=3", "a={x:1,y:2}"], "a.x=3", "a={x:1,y:2}"),
        (["init@init.conv=a", "init@init.conv=b"], "init@init.conv=a", "init@init.conv=b"),
        (["u=http://u:pa55@h/", "u=null"], "u=http://u:***@h/", "u=null"),
    ],
)
def test_an_override_that_a_later_one_replaces_is_named(overrides, unused, counting) -> None:
    (line,) = repeated_lines(overrides)
    assert line.startswith(f"{unused}: has no effect, since {counting} after it count")


@pytest.mark.parametrize(
    "overrides",
    [
        ["a=1", "a=1"],
        ["a=1", "++a=1"],
        ["a=1,2", "a=1, 2"],
        ["~a", "+a=1"],
        ["a={x:1,y:2}", "a.x=3"],
        ["a={}", "a={x:1}"],
        ["model=cnn", "model.channels=[8]"],
        ["init@init.conv=a", "init@init.linear=a"],
        ["a=[", "a=1"],  # Hydra refuses it
    ],
)
def test_overrides_that_all_have_an_effect_need_no_line(overrides) -> None:
    assert repeated_lines(overrides) == []
