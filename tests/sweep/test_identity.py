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


def test_interpolations_are_compared_as_they_are_written(live, master) -> None:
    OmegaConf.set_struct(master, False)
    master.where = "${oc.env:SOME_FOLDER_OF_THIS_MACHINE}"
    assert config_values(live("x=1,2"), [])["steps"] == "1"
