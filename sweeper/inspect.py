"""The command `python -m sweeper.inspect`: print the layers of a network without training it.

If the images of the data have boxes, some are drawn too.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import SearchPathException

from sweeper.cli.messages import run_command, usage_error
from sweeper.cli.overrides import quoted
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError
from sweeper.hydra_versions import COMPOSING

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sweeper.data.voc_annotations import BoxedImage

BOXES = Path("boxes.png")
PICTURES = 12
"""The largest number of images that are shown with their boxes."""

EPILOG = """\
The table has a line for each call of a layer: the shape of its output, the number of its
parameters, its multiply-adds for one image, the bytes of its parameters and of its output for one
image (float32; no output if the layer works in place), the side of its receptive field, and the
distance between neighbouring fields. The lines below the table show the memory of a training batch
of data.batch_size images.

If the images of the data have boxes, as those of data=voc, some are drawn into boxes.png.

Examples
  python -m sweeper.inspect
  python -m sweeper.inspect model=vgg16 data=cifar10 model.width=0.5
  python -m sweeper.inspect data=voc data.root=FOLDER loss=bce_with_logits
  python -m sweeper.inspect model=torchvision model.name=resnet50 data.image_size=224
  python -m sweeper.inspect --config-dir my_conf model=mine data.batch_size=256
"""


def layer_table(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """Return the table of the network of a config with these overrides.

    Nothing is trained, downloaded or written. `sweeper.data.describe` says which files are read.

    Raises:
        SweeperError: the config is invalid.
        HydraException: the config cannot be composed.
    """
    return _table(composed(overrides, config_dir))


def _table(cfg: "DictConfig") -> str:
    # torch takes seconds to import, and --help does not need it.
    from sweeper.build.recipe import network
    from sweeper.summary.table import summarise

    built = network(cfg)
    return summarise(built.model, built.input_shape, built.batch_size).table()


def inspected(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """Return the table, after the pictures of the data are drawn if it has boxes.

    Raises:
        SweeperError: the config is invalid, or a file cannot be read or written.
        HydraException: the config cannot be composed.
    """
    cfg = composed(overrides, config_dir)
    from sweeper.build.loss_option import UnfittingLoss
    from sweeper.build.recipe import source_of
    from sweeper.data.voc_annotations import Annotated

    source = source_of(cfg)
    boxed = list(islice(source.boxed_images(), PICTURES)) if isinstance(source, Annotated) else []
    if not boxed:
        return _table(cfg)
    _draw_boxes(boxed, BOXES)
    shown = f"the first {len(boxed)} training images with their boxes: {BOXES}\n"
    try:
        return f"{_table(cfg)}\n{shown}"
    except UnfittingLoss as error:  # the pictures need no loss
        return f"{shown}no table of layers: {error}\n"


def _draw_boxes(boxed: Sequence["BoxedImage"], path: Path) -> None:
    from sweeper.data.decoding import Decoding
    from sweeper.data.image_files import picture_of
    from sweeper.figures.boxes import boxed_images  # imports matplotlib

    pictures = [picture_of(each.path, Decoding(None)) for each in boxed]
    boxes = [
        [(box.name, (box.left, box.top, box.right, box.bottom)) for box in each.boxes]
        for each in boxed
    ]
    figure = boxed_images(pictures, boxes, [each.name for each in boxed])
    try:
        figure.savefig(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); start the command in another folder"
        ) from error


def composed(overrides: Sequence[str], config_dir: Path | None = None) -> "DictConfig":
    """Return the config of a run with these overrides, with its `hydra` node.

    Raises:
        HydraException: the config cannot be composed, or `config_dir` is not a folder.
    """
    search_path = []
    if config_dir is not None:
        if not config_dir.is_dir():
            raise SearchPathException(
                f"Additional config directory '{config_dir.absolute()}' not found"
            )
        search_path = [f"hydra.searchpath=[{quoted(f'file://{config_dir.absolute()}')}]"]
    with initialize_config_dir(str(CONFIGS), job_name="sweeper", **COMPOSING):
        cfg = compose("config", [*search_path, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)  # interpolations such as ${hydra:...} read it
    return cfg


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; exit with 1 after an error that the user can fix."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeper.inspect",
        description="Print the network that `python -m sweeper` would train. No data is needed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="GROUP=OPTION or KEY=VALUE", help="as for a run"
    )
    parser.add_argument(
        "--config-dir", "-cd", type=Path, metavar="DIR", help="a folder of your own options"
    )
    parser.error = usage_error  # type: ignore[method-assign]
    options = parser.parse_intermixed_args(arguments)
    run_command(
        lambda: sys.stdout.write(inspected(options.overrides, options.config_dir)),
        options.overrides,
    )


if __name__ == "__main__":
    main()
