"""The options of conf/model and conf/init: each point of their search spaces builds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.utils import get_object
from omegaconf import OmegaConf
from pydantic import TypeAdapter
from torch import nn

from sweeper.models.init import initialise
from sweeper.models.torchvision import min_image_size

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
FILLS = sorted(path.stem for path in (CONF / "init").glob("*.yaml") if path.stem != "default")


def option(group: str, name: str) -> dict[str, Any]:
    text = (CONF / group / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    own = OmegaConf.create(text)
    includes = [entry for entry in own.pop("defaults", []) if entry != "_self_"]
    shared = [OmegaConf.load(CONF / f"{entry.strip('/').split('@')[0]}.yaml") for entry in includes]
    return OmegaConf.to_container(OmegaConf.merge(*shared, own))


def points(search: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The option as it is, then each choice and each end of an interval, one at a time."""
    yield {}
    parser = OverridesParser.create()
    for key, text in search.items():
        sweep = parser.parse_override(f"{key}={text}").value()
        values = sweep.list if isinstance(sweep, ChoiceSweep) else [sweep.start, sweep.end]
        yield from ({key: value} for value in values)


def hints_of(target: Any) -> dict[str, Any]:
    function = target.__init__ if isinstance(target, type) else target
    return get_type_hints(function, include_extras=True)


def build(arguments: dict[str, Any], shape: tuple[int, int, int]) -> nn.Module:
    """Build a network as a run does: check the annotations, enlarge the image, call the target."""
    arguments = dict(arguments)
    reads = arguments["_target_"].endswith("CRNN")
    target = get_object(arguments.pop("_target_"))
    arguments.pop("search")
    least = arguments.pop("min_image_size")
    least = min_image_size(arguments["name"]) if isinstance(least, str) else least
    hints = hints_of(target)
    for key, value in arguments.items():
        arguments[key] = TypeAdapter(hints[key]).validate_python(value, strict=True)
    channels, height, width = shape
    enlarged = (channels, max(height, least), max(width, least))
    model = target(input_shape=enlarged, num_classes=10, **arguments)
    outputs = model(torch.empty(2, *enlarged))
    # A network that reads says something at every time step.
    assert (outputs.ndim, outputs.shape[0], outputs.shape[-1]) == (3 if reads else 2, 2, 10)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_every_point_of_a_models_search_space_builds_on_the_smallest_images(name) -> None:
    arguments = option("model", name)
    with torch.device("meta"):
        for point in points(arguments["search"]):
            build(arguments | point, (1, 8, 8))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_larger_images_and_colour(name, shape) -> None:
    with torch.device("meta"):
        build(option("model", name), shape)


@pytest.mark.parametrize("name", MODELS)
def test_a_models_option_states_each_of_its_arguments(name) -> None:
    arguments = option("model", name)
    target = get_object(arguments["_target_"])
    hints = hints_of(target)
    stated = arguments.keys() - {"_target_", "min_image_size", "search"}
    assert stated == hints.keys() - {"input_shape", "num_classes", "return"}
    assert arguments["search"].keys() <= stated


@pytest.mark.parametrize(
    "name", ["cnn", "lenet", "lenet5", "alexnet", "cifar_cnn", "vgg11", "vgg19"]
)
def test_the_stated_minimum_is_what_the_poolings_need(name) -> None:
    arguments = option("model", name)
    least = arguments["min_image_size"]
    sizes = (1, least, least)
    with torch.device("meta"):
        layers = build(arguments, sizes).features
        images = layers(torch.empty(1, *sizes))
    assert images.shape[-1] == (5 if name == "lenet5" else 1)


@pytest.mark.parametrize("name", FILLS)
def test_every_fill_reaches_the_weights(name) -> None:
    arguments = option("init", name)
    fill = get_object(arguments.pop("_target_"))
    assert arguments.pop("weights") is None
    for point in points(arguments.pop("search")):
        model = build(option("model", "cnn"), (1, 8, 8))
        before = model.features[0][0].weight.clone()
        initialise(model, lambda tensor, point=point: fill(tensor, **arguments | point))
        assert not torch.equal(model.features[0][0].weight, before)


def test_the_default_fills_nothing() -> None:
    assert option("init", "default") == {"_target_": None, "weights": None}
