"""The folder of the config groups, and the OmegaConf resolvers that its files use."""

from pathlib import Path

from sweeper.hydra_versions import register_resolver
from sweeper.objectives import directions

PACKAGE = Path(__file__).parent
# In a checkout the folder is beside the package; in an installed wheel it is inside the package.
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def torchvision_min_image_size(name: str) -> int:
    """Return the least height and width in pixels of an image for a torchvision model."""
    from sweeper.models.torchvision import min_image_size  # torchvision takes seconds to import

    return min_image_size(name)


def first_of(*values: object) -> object:
    """Return the first value that is not null, or None."""
    return next((value for value in values if value is not None), None)


# A caller from Python may have resolvers of his own with such common names.
register_resolver("sweeper.directions", directions)
register_resolver("sweeper.first_of", first_of)
register_resolver("torchvision_min_image_size", torchvision_min_image_size)
