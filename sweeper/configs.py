"""The folder of the config groups, and the resolvers that its files use."""

from pathlib import Path

from omegaconf import OmegaConf

from sweeper.objectives import directions

PACKAGE = Path(__file__).parent
# The configs lie beside the package in a checkout, and inside it once installed from a wheel.
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def torchvision_min_image_size(name: str) -> int:
    """Return the smallest image, in pixels a side, that a model of torchvision takes."""
    from sweeper.models.torchvision import min_image_size  # torchvision takes seconds to import

    return min_image_size(name)


OmegaConf.register_new_resolver("directions", directions, replace=True)
OmegaConf.register_new_resolver(
    "torchvision_min_image_size", torchvision_min_image_size, replace=True
)
