from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from sweeper.sweep.identity import StudyIdentity, config_values, difference, steers

RECORD = StudyIdentity({"x": "?"}, ("minimize",), (), {}, values={"y": "0", "z.a": "1"}).record()


@pytest.mark.parametrize(
    ("key", "expected"),
    [("tracking", True), ("tracking.uri", True), ("+tracking.uri", True), ("tracks", False),
     ("data/transform@data.train", False), ("data.root", True)],
)  # fmt: skip
def test_a_key_steers_with_all_that_lies_below_it(key, expected) -> None:
    assert steers(key, ["tracking", "data.root"]) == expected


def test_the_values_are_those_that_all_trials_share(live) -> None:
    space = live("x=interval(0,1)", "steps=3", auto=False)
    values = config_values(space, ["breaks_above"])
    assert values["step_seconds"] == "0.0"
    assert values["shape.radius"] == "1"
    assert values["returns"] == "null"
    assert not {"x", "steps", "breaks_above"} & set(values)
    assert not any(key.startswith(("hydra", "shape.search")) for key in values)


@pytest.mark.parametrize(
    ("search", "auto", "is_block"),
    [
        ("{radius: 'choice(1,2)', size: null}", False, True),
        ("{nested: {k: 'interval(0,1)'}}", False, True),
        ("{radius: '${missing}'}", True, True),
        ("{k: 5}", False, False),
        ("{k: 5, radius: 'choice(1,2)'}", False, False),
        ("{k: '${missing}'}", False, False),
        ("beam", False, False),
        ("beam", True, False),
        ("null", False, True),
    ],
)
def test_a_node_named_search_is_left_out_if_it_is_a_block_of_sweeps(search, auto, is_block) -> None:
    config = OmegaConf.create(f"search: {{k: 'choice(1,2)'}}\nmodel: {{search: {search}}}")
    composer = SimpleNamespace(option_config=lambda options: config, is_group=lambda key: False)
    live = SimpleNamespace(composer=composer, space=SimpleNamespace(fixed={}, auto=auto),
                           option_choices=lambda: [{}], parameters=lambda options: {})  # fmt: skip
    values = config_values(live, [])
    assert values.pop("search.k") == "choice(1,2)"  # the root has no block
    assert bool(values) != is_block


def test_values_that_differ_between_swept_options_are_listed_for_each(live) -> None:
    values = config_values(live("shape=sphere,plane", auto=False), [])
    assert values["shape.radius"] == "1"
    assert values["shape.tilt"] == "0.5"
    assert (values["shape.size"], values["shape.size (shape=plane)"]) == ("1", "3")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"config y": "5"}, "y: 0 -> 5"),
        ({"config z.a": "2", "override z": "z={a:2}"}, "override z: none -> z={a:2}"),
        ({"direction": "maximize", "config y": "5"}, "direction: minimize -> maximize; y: 0 -> 5"),
        ({f"space {i}": "?" for i in range(7)}, "space 4: none -> ?; and 2 more"),
        ({"config y": "x" * 300}, "..."),
    ],
)
def test_the_difference_names_each_change_once(changes, text) -> None:
    assert difference(RECORD, RECORD | changes).endswith(text)
    assert bool(difference(RECORD, RECORD | changes)) == bool(changes)


@pytest.mark.parametrize("side", ["stored", "new"])
def test_what_steers_in_one_command_is_not_compared(side) -> None:
    other = RECORD | {"config z.a": "2", "override z.b": "z.b=3"}
    steering = {"steering": ["z"]}
    stored, new = (RECORD | steering, other) if side == "stored" else (RECORD, other | steering)
    assert difference(stored, new) == ""
    assert difference(RECORD, other) != ""


def test_a_changed_space_is_shown_as_it_is_typed(live) -> None:
    def record(*lines):
        return {f"space {k}": v for k, v in live(*lines, auto=False).describe().items()}

    old = record("x=1,2", "y=interval(0,1)", "z=tag(log,interval(1,10))")
    new = record("x=1,2,3", "y=int(interval(0,5))", "z=interval(1,10)")
    assert difference(old, new) == (
        "space x: 1,2 -> 1,2,3; space y: interval(0.0, 1.0) -> int(interval(0, 5)); "
        "space z: tag(log, interval(1.0, 10.0)) -> interval(1.0, 10.0)"
    )


def test_a_text_and_a_number_differ() -> None:
    def values(value):
        config = OmegaConf.create({"a": value})
        composer = SimpleNamespace(option_config=lambda options: config, is_group=lambda k: False)
        return config_values(
            SimpleNamespace(composer=composer, space=SimpleNamespace(fixed={}, auto=False),
                            option_choices=lambda: [{}], parameters=lambda options: {}), []
        )  # fmt: skip

    texts = [values(v)["a"] for v in (1, "1", None, "null", True, "true", "plain", "")]
    assert len(set(texts)) == len(texts)


def test_interpolations_are_compared_as_they_are_written() -> None:
    config = OmegaConf.create({"where": "${oc.env:SOME_FOLDER}", "all": {"of": "${where}"}})
    composer = SimpleNamespace(option_config=lambda options: config, is_group=lambda key: False)
    live = SimpleNamespace(composer=composer, space=SimpleNamespace(fixed={}, auto=False),
                           option_choices=lambda: [{}], parameters=lambda options: {})  # fmt: skip
    assert config_values(live, []) == {"where": "${oc.env:SOME_FOLDER}", "all.of": "${where}"}


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ({"config y": "2"}, {"config y": "3"}, True),
        ({"config y": "2"}, {"override y": "y=3"}, True),
        ({"override y": "y=2"}, {"override y": "y=3.5"}, True),
        ({"override y": "y=4"}, {"config y": "3"}, False),
        ({"config y": "text"}, {"config y": "3"}, False),
        ({"override y": "y=4"}, {}, False),
    ],
)
def test_a_growing_number_may_be_raised(old, new, is_same) -> None:
    bare = {key: value for key, value in RECORD.items() if key != "config y"}
    growing = bare | {"growing": ["y"]}
    assert (difference(growing | old, growing | new) == "") == is_same
    assert difference(growing | old, bare | new) != ""


def test_a_number_may_grow_only_if_the_first_command_named_it() -> None:
    old, new = RECORD | {"config y": "2"}, RECORD | {"override y": "y=3", "growing": ["y"]}
    assert difference(old, new).endswith(", which hydra.sweeper.growing did not name when the "
                                         "study was started")  # fmt: skip
    assert difference(old | {"growing": ["y"]}, new) == ""


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("y=1e1", "y=10", True),
        ("y=0.10", "y=1e-1", True),
        ("y=[1e1,{a:2.0}]", "y=[10, {a: 2}]", True),
        ("y=abc", "y='abc'", True),
        ("y=TRUE", "y=true", True),
        ("y=1e1", "y='1e1'", False),
        ("y=1", "y=true", False),
        ("y=1", "+y=1", False),
        ("~y", "~y=1", False),
    ],
)
def test_overrides_are_compared_by_their_values(one, other, is_same) -> None:
    def identity(line):
        return StudyIdentity({}, ("minimize",), (line,), {})

    key = f"override {one.partition('=')[0]}"
    earlier = identity(one).record() | {key: one}  # another version recorded what was typed
    assert (difference(earlier, identity(other).record()) == "") == is_same
    assert (identity(one).short_hash() == identity(other).short_hash()) == is_same


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("x=choice(1e1,20)", "x=choice(10,20)", True),
        ("x=10.0,0.5", "x=10,5e-1", True),
        ("x=choice(10,20)", "x=choice(20,10)", False),
        ("x=choice(1,2)", "x=choice(true,2)", False),
        ("x=choice(10,20)", "x=choice('10',20)", False),
        ("x=interval(1,2)", "x=int(interval(1,2))", False),
    ],
)
def test_choices_are_compared_by_their_values(live, one, other, is_same) -> None:
    def identity(line):
        return StudyIdentity(live(line, auto=False).describe(), ("minimize",), (), {})

    earlier = identity(one).record() | {"space x": identity(one).space["x"]}
    assert (difference(earlier, identity(other).record()) == "") == is_same
    assert (identity(one).short_hash() == identity(other).short_hash()) == is_same
