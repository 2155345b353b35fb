"""`python -m sweeper.inspect`: the layers of the network that a command would train."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import SearchPathException

from sweeper.cli.messages import run_command
from sweeper.cli.overrides import quoted
from sweeper.configs import CONFIGS

if TYPE_CHECKING:
    from omegaconf import DictConfig

EPILOG = """\
The table has a line for each call of a layer: the shape of its output, its parameters, its
multiply-adds for one image, the bytes of its parameters and of its output for one image (float32;
none where it works in place), and the side and the distance of the patches of the image that
neighbouring outputs see. Below it stands what a training batch of data.batch_size holds in memory.

Examples
  python -m sweeper.inspect
  python -m sweeper.inspect model=vgg16 data=cifar10 model.width=0.5
  python -m sweeper.inspect model=torchvision model.name=resnet50 data.image_size=224
  python -m sweeper.inspect --config-dir my_conf model=mine data.batch_size=256
"""


def layer_table(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """The table of the network that these overrides make.

    Nothing is trained, downloaded or written; see `sweeper.data.describe` for what is read.

    Raises:
        SweeperError: the config cannot work; Hydra's own errors where it cannot be composed.
    """
    cfg = composed(overrides, config_dir)
    # torch takes seconds to import, and --help does without.
    from sweeper.build.recipe import network
    from sweeper.summary.table import summarise

    built = network(cfg)
    return summarise(built.model, built.input_shape, built.batch_size).table()


def composed(overrides: Sequence[str], config_dir: Path | None = None) -> "DictConfig":
    """The config that a run with these overrides has, and its `hydra` node."""
    own = []
    if config_dir is not None:
        if not config_dir.is_dir():
            raise SearchPathException(
                f"Additional config directory '{config_dir.absolute()}' not found"
            )
        own = [f"hydra.searchpath=[{quoted(f'file://{config_dir.absolute()}')}]"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3", job_name="sweeper"):
        cfg = compose("config", [*own, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)  # for what refers to ${hydra:...}
    return cfg


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; exit with 1 after an error that its user can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeper.inspect",
        description="Show the network that `python -m sweeper` would train. No data is needed.",
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
    given = parser.parse_intermixed_args(arguments)
    run_command(lambda: sys.stdout.write(layer_table(given.overrides, given.config_dir)))


if __name__ == "__main__":
    main()
