"""The command `python -m sweeper.inspect`: print and draw a network without training it.

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

from sweeper.cli.leaving import leave
from sweeper.cli.messages import check_words, flag_error, run_command
from sweeper.cli.overrides import quoted
from sweeper.cli.repeated import repeated_lines
from sweeper.cli.typed import unusable_file
from sweeper.cli.waiting import hide_waiting, waiting_for, waiting_line
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError
from sweeper.files import reason_of
from sweeper.hydra_versions import COMPOSING
from sweeper.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sweeper.build.recipe import Network
    from sweeper.data.voc_annotations import BoxedImage
    from sweeper.summary.table import Summary

BOXES = Path("boxes.png")
PICTURES = 12
"""The largest number of images that are shown with their boxes."""

EPILOG = """\
The table has a line for each call of a layer: the shape of its output, the number of its
parameters, its multiply-adds for one image, the bytes of its parameters and of its output for one
image (float32; no output if the layer works in place), the side of its receptive field, and the
distance between neighbouring fields. The lines below the table show the memory of a training batch
of data.batch_size images. The picture has a box for each layer, with its output and parameters.
If the images of the data have boxes, as those of data=voc, some are drawn into boxes.png.

Examples
  python -m sweeper.inspect
  python -m sweeper.inspect model=vgg16 data=cifar10 model.width=0.5
  python -m sweeper.inspect model=resnet18 data=cifar10 --picture resnet18.png
  python -m sweeper.inspect data=voc data.root=FOLDER loss=bce_with_logits
  python -m sweeper.inspect --config-dir my_conf model=mine data.batch_size=256
"""


def show(overrides: Sequence[str], config_dir: Path | None, picture: Path | None) -> None:
    """Print the table of a network, and draw the network into a file unless it is None.

    Images of the data are drawn too if they have boxes. A loss that does not fit the data then
    costs the table only.

    Raises:
        SweeperError: the config is invalid, or a file cannot be read or written.
        HydraException: the config cannot be composed.
    """
    if picture is not None:
        _require_picture(picture)
    cfg = composed(overrides, config_dir)
    waiting_for("importing torch and building the network")
    from sweeper.build.loss_option import UnfittingLoss
    from sweeper.build.recipe import network

    has_boxes = picture is not None and _show_boxes(cfg)
    try:
        built = network(cfg)
    except UnfittingLoss as error:
        if not has_boxes:
            raise
        _print(f"no table of layers: {error}")
        return
    summary = _summary(built)
    _print(summary.table().rstrip("\n"))
    if picture is not None:
        waiting_for(f"drawing {picture}")
        _draw(built, summary, picture)
        _print(f"picture: {printable(str(picture))}")


def _print(text: str) -> None:
    hide_waiting()
    sys.stdout.write(f"{text}\n")


def _summary(built: "Network") -> "Summary":
    from sweeper.summary.table import summarise

    return summarise(built.model, built.input_shape, built.batch_size)


def _require_picture(path: Path) -> None:
    problem = unusable_file(path)
    if problem is None and (path.suffix.lower() != ".png" or path.is_dir()):
        problem = "it is not the name of a PNG file"
    if problem is not None:
        raise ConfigError(
            f"--picture {path} cannot be written ({problem}); type --picture FILE.png, or "
            "--no-picture"
        )


def _draw(built: "Network", summary: "Summary", path: Path) -> None:
    from sweeper.figures.network_graph import Box, network_graph  # imports matplotlib
    from sweeper.summary.graph import graph_of

    boxes = []
    for node in graph_of(built.model, built.input_shape):
        count = f"{node.parameters:,} parameters" if node.parameters else ""
        details = (node.name, "x".join(map(str, node.shape)), count)
        boxes.append(Box(node.title, "   ".join(filter(None, details)), node.kind, node.inputs))
    title = f"{type(built.model).__name__} for images of {'x'.join(map(str, built.input_shape))}"
    about = f"{summary.parameters:,} parameters, {summary.multiply_adds:,} multiply-adds"
    try:
        network_graph(boxes, title, about).savefig(path, format="png")
    except OSError as error:
        raise ConfigError(
            f"--picture {path} cannot be written ({reason_of(error)}); type --picture FILE.png"
        ) from error


def _show_boxes(cfg: "DictConfig") -> bool:
    """Draw the first training images if they have boxes; return whether they have."""
    from sweeper.build.recipe import source_of
    from sweeper.data.voc_annotations import Annotated

    source = source_of(cfg)
    boxed = list(islice(source.boxed_images(), PICTURES)) if isinstance(source, Annotated) else []
    if boxed:
        waiting_for(f"drawing {BOXES}")
        _draw_boxes(boxed, BOXES)
        _print(f"the first {len(boxed)} training images with their boxes: {BOXES}")
    return bool(boxed)


def _draw_boxes(boxed: Sequence["BoxedImage"], path: Path) -> None:
    from sweeper.data.decoding import Decoding
    from sweeper.data.image_files import picture_of
    from sweeper.figures.boxes import boxed_images  # imports matplotlib

    pictures = [picture_of(each.path, Decoding(None)) for each in boxed]
    boxes = [
        [(box.name, (box.left, box.top, box.right, box.bottom)) for box in each.boxes]
        for each in boxed
    ]
    figure = boxed_images(
        pictures, boxes, [each.name for each in boxed], f"training images: the first {len(boxed)}"
    )
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
    """Print the table and draw the picture; exit with 1 after an error that the user can fix."""
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
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("network.png"),
        metavar="FILE",
        help="file of the picture (default: network.png)",
    )
    parser.add_argument(
        "--no-picture", dest="picture", action="store_const", const=None, help="draw no picture"
    )
    parser.error = flag_error  # type: ignore[method-assign]
    options = parser.parse_intermixed_args(arguments)

    flags = [] if options.config_dir is None else ["--config-dir", str(options.config_dir)]
    typed = [*flags, *options.overrides]

    def run() -> None:
        check_words(options.overrides, typed)
        for line in repeated_lines(options.overrides):
            _print(line)
        show(options.overrides, options.config_dir, options.picture)

    with waiting_line("reading the config"):
        run_command(run, typed)


if __name__ == "__main__":
    leave(main)
