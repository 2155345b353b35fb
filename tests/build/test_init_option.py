"""The group `init` with options for single types of layers."""

import pytest
from hydra.errors import ConfigCompositionException

from sweeper.errors import ConfigError

NORMED = ("model.batch_norm=true", "model.channels=[4]")


def weights(experiment) -> dict[str, list[float]]:
    parameters = experiment.model.named_parameters()
    return {name: p.unique().tolist() for name, p in parameters if name.endswith("weight")}


def test_each_type_of_layers_takes_an_option_of_the_group(built) -> None:
    values = weights(
        built(
            *NORMED,
            "init=constant",
            "init@init.conv=constant",
            "init.conv.val=2",
            "init@init.norm=constant",
            "init.norm.val=3",
        )
    )
    assert values == {
        "features.0.0.weight": [2.0],
        "features.0.1.weight": [3.0],
        "classifier.1.weight": pytest.approx([0.01]),
    }


def test_default_keeps_torchs_weights_of_a_type(built) -> None:
    values = weights(built(*NORMED, "init=constant", "init@init.linear=default"))
    assert len(values["features.0.0.weight"]) == 1
    assert len(values["classifier.1.weight"]) > 100


def test_null_takes_a_type_back(built) -> None:
    taken_back = ("init@init.linear=normal", "init.linear=null")
    values = weights(built("model=mlp", "model.hidden=[]", "init=constant", *taken_back))
    assert list(values.values()) == [[pytest.approx(0.01)]]


def test_the_options_are_named_in_the_record(composed) -> None:
    choices = composed("init@init.conv=orthogonal").choices
    assert (choices["init"], choices["init.conv"]) == ("default", "orthogonal")
    assert "init.linear" not in choices


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["init@init.norm=xavier_normal"], r"^init\.norm=xavier_normal: .*; type constant or"),
        (["init@init.conv=normal", "init.conv.std=-1"], r"^init\.conv=normal: "),
        (["+init.conv=normal"], r"type init@init\.conv=normal$"),
        (["init@init.conv=normal", "init.conv.weights=a.pt"], r"type init\.weights=FILE$"),
    ],
)
def test_what_cannot_work_is_refused(built, overrides, message, refuses) -> None:
    with refuses(ConfigError, message):
        built(*NORMED, *overrides)


def test_an_unknown_argument_is_refused(built) -> None:
    with pytest.raises(ConfigCompositionException, match=r"init\.conv\.vall"):
        built("init@init.conv=constant", "init.conv.vall=1")
