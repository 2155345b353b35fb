"""The graph of a network: nodes, what they are joined to, and where they lead."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.models.convnet import ConvNet
from sweeper.models.resnet import ResNet
from sweeper.models.torchvision import torchvision_model
from sweeper.summary.graph import graph_of


def test_a_chain_has_a_node_for_each_layer_with_what_follows_it() -> None:
    model = ConvNet(
        (1, 8, 8), 10, [4, "M"], [5], kernel_size=[[3, 5]], batch_norm=True, dropout=0.5
    )
    nodes = graph_of(model, (1, 8, 8))
    assert [(n.title, n.name, n.shape, n.parameters, n.kind, n.inputs) for n in nodes] == [
        ("image", "", (1, 8, 8), 0, "image", ()),
        ("Conv2d 3x5, BatchNorm2d, ReLU", "features.0.0", (4, 8, 8), 68, "conv", (0,)),
        ("MaxPool2d 2x2", "features.0.3", (4, 4, 4), 0, "pool", (1,)),
        ("Flatten", "classifier.0", (64,), 0, "other", (2,)),
        ("Linear, ReLU, Dropout", "classifier.1", (5,), 325, "linear", (3,)),
        ("Linear", "classifier.4", (10,), 60, "linear", (4,)),
    ]


def test_shortcuts_of_residual_blocks_are_ways_into_a_sum() -> None:
    nodes = graph_of(ResNet((1, 16, 16), 10, [2], [4], block="basic", stem_pool=False), (1, 16, 16))
    sums = [node for node in nodes if node.kind == "join"]
    assert [(node.title, node.inputs) for node in sums] == [
        ("+, ReLU", (3, 1)),
        ("+, ReLU", (6, 4)),
    ]
    widened = graph_of(ResNet((1, 16, 16), 10, [1], [4], stem_pool=False), (1, 16, 16))
    (joint,) = (node for node in widened if node.kind == "join")
    assert [widened[i].name for i in joint.inputs] == [
        "stages.0.0.residual.6", "stages.0.0.shortcut.0",
    ]  # fmt: skip


class Functional(nn.Module):
    """A network that calls functions, one of them in place, and reads a value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 1, stride=1)

    def forward(self, images: Tensor) -> Tensor:
        if images.max() > 1:
            return images
        maps = torch.cat([F.relu_(self.first(images)), self.second(images)], dim=1)
        return F.max_pool2d(maps, 2).flatten(1).mean(dim=1)


def test_functions_are_nodes_too() -> None:
    nodes = graph_of(Functional(), (1, 4, 4))
    assert [(n.title, n.inputs) for n in nodes] == [
        ("image", ()),
        ("Conv2d 3x3, relu", (0,)),
        ("Conv2d 1x1", (0,)),
        ("concatenate", (1, 2)),
        ("max_pool2d", (3,)),
        ("mean", (4,)),
    ]


@pytest.mark.parametrize("name", ["googlenet", "vit_b_32", "mobilenet_v3_small", "swin_t"])
def test_any_network_has_a_graph_whose_nodes_come_after_their_inputs(name) -> None:
    size = 64 if name == "vit_b_32" else 32
    with torch.device("meta"):
        model = torchvision_model(name, (3, size, size), 10)
    nodes = graph_of(model, (3, size, size))
    assert nodes[-1].shape == (10,)
    for position, node in enumerate(nodes[1:], start=1):
        assert node.inputs
        assert max(node.inputs) < position
    used = {source for node in nodes for source in node.inputs}
    assert used == set(range(len(nodes) - 1))
    if name == "swin_t":  # it passes the parameters of its layers to functions
        return
    leaves = [m for m in model.modules() if not list(m.children()) or hasattr(m, "in_proj_weight")]
    in_layers = {id(p) for layer in leaves for p in layer.parameters()}
    counted = sum(p.numel() for p in model.parameters() if id(p) in in_layers)
    assert sum(node.parameters for node in nodes) == counted


def test_a_shared_layer_counts_its_parameters_once() -> None:
    layer = nn.Linear(4, 4)
    nodes = graph_of(nn.Sequential(nn.Flatten(), layer, layer), (1, 2, 2))
    assert [node.parameters for node in nodes] == [0, 0, 20, 0]


def test_the_model_and_the_random_numbers_keep_their_state() -> None:
    model, state = ConvNet((1, 8, 8), 10, [4], [8], dropout=0.5).train(), torch.get_rng_state()
    graph_of(model, (1, 8, 8))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
