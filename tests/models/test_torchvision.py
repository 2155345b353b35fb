"""torchvision's classifiers, fitted to the data."""

import logging

import pytest
import torch

from sweeper.errors import ConfigError
from sweeper.models.torchvision import min_image_size, torchvision_model

# One of each family, and all whose building needs care.
FAMILIES = [
    ("resnet18", 32),
    ("alexnet", 63),
    ("googlenet", 32),
    ("inception_v3", 75),
    ("vit_b_16", 32),
    ("vit_b_32", 64),
    ("vit_h_14", 42),
    ("maxvit_t", 224),
    ("swin_t", 224),
    ("squeezenet1_1", 32),
    ("efficientnet_v2_s", 33),
    ("regnet_x_400mf", 32),
]


def trains(name: str, channels: int, size: int) -> bool:
    """Whether a batch of two goes forward and backward in training mode."""
    with torch.device("meta"):
        model = torchvision_model(name, (channels, size, size), 7).train()
        logits = model(torch.empty(2, channels, size, size))
    logits.sum().backward()
    return tuple(logits.shape) == (2, 7)


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_a_model_trains_at_its_smallest_size_on_gray_images(name, size):
    assert min_image_size(name) == size
    assert trains(name, 1, size)


@pytest.mark.slow
def test_every_classification_model_trains_at_its_smallest_size():
    from torchvision import models

    # The one with 640 million parameters is left out: it passes, with 3 GB.
    names = models.list_models(module=models, exclude="regnet_y_128gf")
    assert len(names) >= 79
    assert [name for name in names if not trains(name, 3, min_image_size(name))] == []


def test_an_unknown_name_is_refused_with_the_near_ones():
    near = r"model\.name=resnet19 .*type one of .*resnet18"
    with pytest.raises(ConfigError, match=near):
        torchvision_model("resnet19", (1, 32, 32), 10)
    with pytest.raises(ConfigError, match=near):
        min_image_size("resnet19")


def test_models_for_other_tasks_are_no_classifiers():
    with pytest.raises(ConfigError, match="no classification model"):
        torchvision_model("fcn_resnet50", (3, 32, 32), 10)


@pytest.mark.parametrize(
    ("name", "size", "nearest"),
    [("vit_b_16", (50, 50), 48), ("vit_b_16", (48, 32), 48), ("maxvit_t", (230, 230), 224)],
)
def test_an_image_that_a_transformer_cannot_tile_is_refused(name, size, nearest):
    with pytest.raises(ConfigError, match=rf"type data\.image_size={nearest}"):
        torchvision_model(name, (3, *size), 10)


@pytest.fixture
def weight_file(tmp_path):
    """A network of three channels and ten classes, on disk."""
    model = torchvision_model("mnasnet0_5", (3, 32, 32), 10)
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    return model, path


def test_a_weight_file_of_the_same_shape_gives_the_same_logits(weight_file):
    model, path = weight_file
    loaded = torchvision_model("mnasnet0_5", (3, 32, 32), 10, weights=str(path)).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(images), model.eval()(images))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_first_filters_answer_a_gray_image_as_before(weight_file, channels):
    model, path = weight_file
    loaded = torchvision_model("mnasnet0_5", (channels, 32, 32), 10, weights=str(path)).eval()
    gray = torch.rand(2, 1, 32, 32)
    logits = loaded(gray.expand(-1, channels, -1, -1))
    torch.testing.assert_close(logits, model.eval()(gray.expand(-1, 3, -1, -1)))


def test_a_head_of_other_classes_is_left_out_and_named(weight_file, caplog):
    _, path = weight_file
    caplog.set_level(logging.INFO)
    torchvision_model("mnasnet0_5", (3, 32, 32), 7, weights=str(path))
    (message,) = caplog.messages
    assert "left out of the file: classifier.1.weight, classifier.1.bias;" in message


def test_a_file_of_another_model_is_refused(weight_file):
    with pytest.raises(ConfigError, match="no weights that fit"):
        torchvision_model("squeezenet1_1", (3, 32, 32), 10, weights=str(weight_file[1]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read"),
        (b"", "no state dict"),
        (b"text", "no state dict"),
    ],
)
def test_a_file_that_is_no_state_dict_is_refused(tmp_path, content, expected):
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        torchvision_model("squeezenet1_1", (3, 32, 32), 10, weights=str(path))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_other_things_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match="no state dict"):
        torchvision_model("squeezenet1_1", (3, 32, 32), 10, weights=str(tmp_path / "weights.pt"))
