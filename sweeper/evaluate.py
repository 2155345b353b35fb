"""How good a trained network is, class by class.

    python -m sweeper.evaluate checkpoint=PATH [--json]

Reads the test split of the data that the network was trained on, or the images in a folder;
prints loss and accuracy, precision and recall of each class and the confusion matrix, and draws
the confusion matrix and the worst mistakes.

    checkpoint=PATH       outputs/<day>/<time>/checkpoints/best.pt
    split=test            val or test
    folder=PATH           other images, in a folder a class, named as in training
    out=PATH              for the figures and metrics.json; evaluation/ in the run's folder
    trust=PACKAGE,...     own code that the checkpoint calls
    data.root=FOLDER      and any other key of its config with a dot
    --json                one JSON document instead of tables
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from sweeper.cli.arguments import Arguments, parsed, run_tool
from sweeper.data.batches import Streaming
from sweeper.data.image_files import FileImages, mode_of
from sweeper.data.image_folder import Listing
from sweeper.data.inverse import to_pil
from sweeper.data.profile import Profile
from sweeper.errors import ConfigError, DataError
from sweeper.run.pictures import mistakes, outcome, saved
from sweeper.run.restore import Restored, restore, trusted_packages
from sweeper.text import aligned
from sweeper.training.scoring import Batches, Predictions, predictions_of

TABLED_CLASSES = 20
"""The largest confusion matrix that is printed; larger ones are drawn only."""


@dataclass(frozen=True)
class Seen:
    """Images to evaluate on: batches for the network, pictures for people."""

    name: str
    batches: Batches
    pictures: Callable[[Sequence[int]], Sequence[Image]]


def evaluate(argv: Sequence[str]) -> None:
    """Print and draw how good the network of a checkpoint is.

    Raises:
        SweeperError: the checkpoint, the data or an argument cannot work.
    """
    keys = ("checkpoint", "split", "folder", "out", "trust")
    arguments = parsed(argv, keys, ("--json",))
    if arguments.rest:
        raise ConfigError(f"{arguments.rest[0]}: type folder=PATH for images in a folder a class")
    path = Path(arguments.required("checkpoint", "outputs/<day>/<time>/checkpoints/best.pt"))
    restored = restore(path, arguments.overrides, trusted_packages(arguments))
    seen = _seen(restored, arguments)
    predictions = predictions_of(restored.classifier, seen.batches)
    content = document(predictions, restored.profile)
    run_folder = path.resolve().parent.parent
    place = Path(arguments.values.get("out") or run_folder / "evaluation" / seen.name)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out={place}: {error.strerror}; type out=FOLDER") from error
    (place / "metrics.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (place / "worst_mistakes.png").unlink(missing_ok=True)  # of an evaluation that had some
    drawn = outcome(predictions, restored.profile)
    saved(drawn | mistakes(predictions, restored.profile, seen.pictures), place)
    as_json = "--json" in arguments.flags
    text = json.dumps(content, indent=1) if as_json else in_words(content, seen.name, place)
    sys.stdout.write(text + "\n")


def document(predictions: Predictions, profile: Profile) -> dict[str, Any]:
    """Return everything measured as plain values."""
    content: dict[str, Any] = {"images": len(predictions.labels), **predictions.metrics}
    if profile.label_type != "sequence":
        scores = predictions.by_class(len(profile.classes))
        content["classes"] = {
            name: {"precision": one.precision, "recall": one.recall, "images": one.actual}
            for name, one in zip(profile.classes, scores, strict=True)
        }
    if profile.label_type == "multiclass":
        content["confusion"] = predictions.confusion().tolist()
    return content


def in_words(content: dict[str, Any], name: str, place: Path) -> str:
    """Return the tables that a person reads."""
    singles = {key: value for key, value in content.items() if not isinstance(value, dict | list)}
    rows = [(key.replace("_", " "), f"{value:.4f}") for key, value in singles.items()]
    rows[0] = (f"{name} images", f"{content['images']:,}")
    parts = [aligned(rows)]
    if "classes" in content:
        head = ("class", "precision", "recall", "images")
        table = [
            (one, f"{of['precision']:.4f}", f"{of['recall']:.4f}", f"{of['images']:,}")
            for one, of in content["classes"].items()
        ]
        parts.append(aligned([head], table))
    matrix = content.get("confusion", [])
    if 0 < len(matrix) <= TABLED_CLASSES:
        names = list(content["classes"])
        lines = [(one, *map(str, row)) for one, row in zip(names, matrix, strict=True)]
        parts.append(aligned([("true, in rows", *names)], lines))
    return "\n".join([*parts, f"figures and metrics.json: {place}"])


def _seen(restored: Restored, arguments: Arguments) -> Seen:
    folder, split = arguments.values.get("folder"), arguments.values.get("split", "test")
    if folder is not None:
        return _in_folder(restored, Path(folder))
    data = restored.data()
    splits = {"val": data.val, "test": data.test}
    if split not in splits or split not in data.sizes:
        there = " or ".join(f"split={name}" for name in splits if name in data.sizes)
        name = data.profile.name
        raise ConfigError(f"split={split}: data={name} has no such split; type {there}")
    return Seen(
        split,
        splits[split](),
        lambda indices: data.inverse(data.samples(split, indices)[0].cpu()),
    )


def _in_folder(restored: Restored, folder: Path) -> Seen:
    """The images in a folder, as the files of an image folder are read for training."""
    profile = restored.profile
    if profile.label_type != "multiclass":
        raise ConfigError(f"folder={folder}: a folder a class is for networks that tell one class")
    if not folder.is_dir():
        raise DataError(f"folder={folder} is not a folder; type folder=PATH")
    listing = Listing.of(folder, profile.classes).mixed()
    if not listing.paths:
        raise DataError(f"folder={folder} has no folder that is called as a class is")
    channels, height, width = profile.image_shape
    files = FileImages(listing.paths, (height, width), mode_of(channels))
    files.check_headers()
    feed = Streaming(files, listing.labels, restored.classifier.device, False, 0)
    batches = feed.batches(np.arange(len(listing.labels)), restored.batch_size)
    return Seen(
        f"folder-{folder.resolve().name}",
        ((restored.pipeline(images), labels) for images, labels in batches),
        lambda indices: [to_pil(p) for p in torch.from_numpy(files[np.array(indices)])],
    )


if __name__ == "__main__":
    run_tool(evaluate, __doc__)
