"""Weights copied into another network: matching entries are copied, the others are named."""

import logging

import pytest
import torch
from torch import nn

from sweeper.errors import ConfigError
from sweeper.models.convnet import ConvNet
from sweeper.models.mlp import MLP
from sweeper.models.torchvision import torchvision_model
from sweeper.models.weights import copy_matching_weights


def network(channels: int = 3, classes: int = 5) -> nn.Module:
    return ConvNet((channels, 8, 8), classes, [4, 6], [], batch_norm=True)


def test_the_same_network_gives_the_same_logits() -> None:
    source, target = network(), network()
    source(torch.rand(4, 3, 8, 8))  # updates the statistics of the batch norms
    copy_matching_weights(target, source.state_dict(), "a.pt")
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(target.eval()(images), source.eval()(images))


def mnasnet(channels: int = 3) -> nn.Module:
    return torchvision_model("mnasnet0_5", (channels, 32, 32), 5)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("build", "side"), [(network, 8), (mnasnet, 32)])
def test_adapted_first_filters_give_the_same_logits_for_a_gray_image(build, side, channels) -> None:
    source, target = build().eval(), build(channels).eval()
    copy_matching_weights(target, source.state_dict(), "a.pt")
    gray = torch.rand(2, 1, side, side)
    logits = target(gray.expand(-1, channels, -1, -1))
    torch.testing.assert_close(logits, source(gray.expand(-1, 3, -1, -1)))


def test_a_head_for_other_classes_is_skipped_and_named(caplog) -> None:
    caplog.set_level(logging.INFO)
    source, target = network(), network(classes=7)
    head = target.classifier[1].weight.clone()
    copy_matching_weights(target, source.state_dict() | {"extra": torch.zeros(2)}, "a.pt")
    assert caplog.messages == [
        "init.weights=a.pt: 12 of 14 entries loaded; skipped entries of the file: "
        "classifier.1.weight, classifier.1.bias, extra; entries of the model that keep their "
        "initial values: classifier.1.weight, classifier.1.bias"
    ]
    assert torch.equal(target.classifier[1].weight, head)
    assert torch.equal(target.features[1][0].weight, source.features[1][0].weight)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."]
)
def test_prefixes_that_a_wrapper_adds_to_names_are_removed(prefix) -> None:
    source, target = network(), network()
    wrapped = {prefix + name: entry for name, entry in source.state_dict().items()}
    copy_matching_weights(target, wrapped, "a.pt")
    assert torch.equal(target.classifier[1].weight, source.classifier[1].weight)


def test_prefixes_of_a_partly_compiled_network_are_removed() -> None:
    source, target = network(), network()
    source.classifier = torch.compile(source.classifier)
    entries = source.state_dict()
    copy_matching_weights(target, entries, "a.pt")
    assert torch.equal(target.classifier[1].weight, entries["classifier._orig_mod.1.weight"])


def test_a_submodule_called_module_keeps_its_name() -> None:
    source, target = (nn.ModuleDict({"module": nn.Linear(2, 3)}) for _ in range(2))
    copy_matching_weights(target, source.state_dict(), "a.pt")
    assert torch.equal(target["module"].weight, source["module"].weight)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_of_another_network_are_refused(device) -> None:
    with torch.device(device):
        target = MLP((1, 2, 2), 3, [5])
    with pytest.raises(ConfigError, match=r"^init\.weights=a\.pt has no weights that fit"):
        copy_matching_weights(target, network().state_dict(), "a.pt")


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features.0.0.weight", "nan"),
        ("classifier.1.bias", "-inf"),
        ("features.0.1.running_var", "nan"),
    ],
)
def test_weights_of_a_run_that_diverged_are_refused(device, name, value) -> None:
    entries = network().state_dict()
    entries[name].flatten()[-1] = float(value)
    with torch.device(device):
        target = network()
    with pytest.raises(ConfigError, match=rf"^init\.weights=a\.pt: {name} holds {value}, "):
        copy_matching_weights(target, entries, "a.pt")


def test_an_infinite_mask_is_accepted() -> None:
    source, target = (nn.Linear(2, 2) for _ in range(2))
    for model, value in ((source, float("-inf")), (target, 0.0)):
        model.register_buffer("mask", torch.full((2, 2), value))
    copy_matching_weights(target, source.state_dict(), "a.pt")
    assert target.mask.isneginf().all()


def test_a_network_on_the_meta_device_is_checked_without_a_log_line(caplog) -> None:
    caplog.set_level(logging.INFO)
    with torch.device("meta"):
        target = network(channels=1)
    copy_matching_weights(target, network().state_dict(), "a.pt")
    assert caplog.messages == []
