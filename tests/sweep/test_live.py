import pytest

from sweeper.errors import ConfigError, ShapeError
from sweeper.sweep.check import check_options


def names(live, **params):
    return {p.name for p in live.parameters(params).values()}


def test_without_auto_only_what_is_named_is_swept(live):
    assert names(live("shape=sphere,plane"), shape="plane") == {"shape"}


def test_only_the_chosen_options_block_is_live(live):
    space = live("shape=sphere,plane", auto=True)
    assert names(space, shape="sphere") == {"shape", "shape.radius", "shape.size@sphere"}
    assert names(space, shape="plane") == {"shape", "shape.tilt", "shape.size@plane"}


def test_a_fixed_options_block_is_live_under_plain_names(live):
    assert names(live("shape=plane")) == {"shape.tilt", "shape.size"}


@pytest.mark.parametrize("line", ["shape.tilt=0.1", "shape.tilt=interval(0,9)"])
def test_what_the_user_names_replaces_the_blocks(live, line):
    parameters = live("shape=plane", line, auto=True).parameters({})
    assert "shape.tilt" not in parameters or parameters["shape.tilt"].distribution.high == 9


def test_stored_parameters_are_found_again_under_their_keys(live):
    space = live("shape=sphere,plane", auto=True)
    stored = {"shape": "plane", "shape.tilt": 0.5, "shape.size@plane": 3}
    keys = {"shape": "plane", "shape.tilt": 0.5, "shape.size": 3}
    assert space.by_key(stored) == keys


def test_the_description_has_every_options_parameters(live):
    space = live("shape=sphere,plane", auto=True).describe()
    own = {"shape.radius", "shape.tilt", "shape.size@sphere", "shape.size@plane"}
    assert set(space) == {"shape", *own}


@pytest.mark.parametrize("lines", [["shape=sphere,cube"], ["y=1,2"], ["shape.radius=1", "y=1,2"]])
def test_what_does_not_compose_is_found_beforehand(live, lines):
    with pytest.raises(ConfigError, match=r"cube|'y'"):
        check_options(live(*lines))


def test_a_key_of_one_option_does_not_compose_with_the_others(live):
    with pytest.raises(ConfigError, match=r"shape\.tilt"):
        check_options(live("shape=sphere,plane", "shape.tilt=1,2"))


def test_what_the_application_refuses_is_listed_with_its_point(live):
    def refuse(config):
        if config.shape.get("tilt"):
            raise ShapeError("nothing is left of the image")

    with pytest.raises(ConfigError) as error:
        check_options(live("shape=sphere,plane"), refuse)
    assert str(error.value) == "shape=plane: nothing is left of the image"
