"""torchvision's classifiers, fitted to the data."""

import pytest
import torch

from sweeper.errors import ConfigError
from sweeper.models.torchvision import min_image_size, torchvision_model

# One of each family, and all that need special arguments.
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


def logits_in_training(name: str, channels: int, size: int) -> torch.Tensor:
    """Return the logits of two images in training mode, where norms refuse single pixels."""
    with torch.device("meta"):
        model = torchvision_model(name, (channels, size, size), 7).train()
        return model(torch.empty(2, channels, size, size))


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_a_model_trains_at_its_smallest_size_on_gray_images(name, size) -> None:
    assert min_image_size(name) == size
    logits = logits_in_training(name, 1, size)
    logits.sum().backward()
    assert logits.shape == (2, 7)


# They have more of the same blocks than their smaller siblings.
LARGER = ["*101*", "*152*", "densenet1[67]*", "densenet201", "convnext_[bls]*", "vit_l_*",
          "efficientnet_b[2-7]", "efficientnet_v2_[lm]", "regnet_?_*gf", "swin*_[bs]",
          "vgg1[369]*"]  # fmt: skip


def test_every_kind_of_classifier_takes_training_images_of_its_smallest_size() -> None:
    from torchvision import models

    names = models.list_models(module=models, exclude=LARGER)
    assert len(names) >= 35
    shapes = {n: tuple(logits_in_training(n, 3, min_image_size(n)).shape) for n in names}
    assert shapes == dict.fromkeys(names, (2, 7))


def test_every_classifier_has_a_smallest_size() -> None:
    from torchvision import models

    sizes = {name: min_image_size(name) for name in models.list_models(module=models)}
    assert len(sizes) >= 80
    assert all(32 <= size <= 256 for size in sizes.values()), sizes


def test_an_unknown_name_is_refused_with_similar_names() -> None:
    near = r"model\.name=resnet19 .*type one of .*resnet18"
    with pytest.raises(ConfigError, match=near):
        torchvision_model("resnet19", (1, 32, 32), 10)
    with pytest.raises(ConfigError, match=near):
        min_image_size("resnet19")


def test_models_for_other_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="is not a classification model"):
        torchvision_model("fcn_resnet50", (3, 32, 32), 10)


@pytest.mark.parametrize(
    ("name", "size", "nearest"),
    [("vit_b_16", (50, 50), 48), ("vit_b_16", (48, 32), 48), ("maxvit_t", (230, 230), 224)],
)
def test_an_image_that_a_transformer_cannot_tile_is_refused(name, size, nearest) -> None:
    with pytest.raises(ConfigError, match=rf"type data\.image_size={nearest}"):
        torchvision_model(name, (3, *size), 10)
