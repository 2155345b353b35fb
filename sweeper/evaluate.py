"""Evaluate a trained network, class by class.

    python -m sweeper.evaluate checkpoint=PATH [--json]

Evaluates on the test split of the training data, or on the images in a folder. Prints loss and
accuracy, the precision and recall of each class, and the confusion matrix of up to 20 classes.
Draws the confusion matrix and the worst mistakes.

    checkpoint=PATH       such as outputs/<day>/<time>/checkpoints/best.pt, or the folder of a run
                          or of a study
    split=test            val or test
    folder=PATH           other images, in a subfolder for each class, named as in training
    out=PATH              folder of the figures and metrics.json (default: evaluation/ in the
                          folder of the run)
    trust=PACKAGE,...     your own packages that the checkpoint's config may call
    data.root=FOLDER      overrides the checkpoint's config; so does any other key with a dot
    --json                print one JSON document instead of tables
"""

# ruff: noqa: E402  torch takes seconds to import, and nobody should wonder what happens meanwhile

from sweeper.cli.waiting import begin_waiting, hide_waiting, waiting_for

if __name__ == "__main__":
    begin_waiting("importing torch")

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from sweeper.cli.arguments import Arguments, parse_arguments, run_tool
from sweeper.cli.leaving import leave
from sweeper.cli.overrides import shell_word
from sweeper.cli.typed import unusable_folder, unwritable_folder
from sweeper.data.batches import Streaming
from sweeper.data.image_folder import Listing
from sweeper.data.profile import Profile
from sweeper.errors import ConfigError, DataError
from sweeper.files import reason_of
from sweeper.run.pictures import (
    SPLITS,
    Figures,
    Subject,
    mistake_figures,
    result_figures,
    save_figures,
)
from sweeper.run.restore import Restored, require_split, restore, trusted_packages
from sweeper.text import aligned, printable
from sweeper.training.scoring import Batches, Predictions, predictions_of

MAX_PRINTED_CLASSES = 20
"""The number of classes up to which the confusion matrix is printed. It is always drawn."""


@dataclass(frozen=True)
class EvaluationSet:
    """The images of an evaluation.

    name: the name of the split, or of the folder.
    batches: pairs of images and labels for the network.
    pictures: a function that returns the pictures of images, by their indices; None if they
        cannot be drawn.
    """

    name: str
    batches: Batches
    pictures: Callable[[Sequence[int]], Sequence[Image]] | None


def evaluate(argv: Sequence[str]) -> None:
    """Print and draw the metrics of a checkpoint's network.

    Raises:
        SweeperError: the checkpoint, the data or an argument is invalid.
    """
    keys = ("checkpoint", "split", "folder", "out", "trust")
    arguments = parse_arguments(argv, keys, ("--json",))
    if arguments.positional:
        argument = shell_word(arguments.positional[0])
        raise ConfigError(
            f"{argument}: no such argument; type checkpoint={argument} for a checkpoint, or "
            f"folder={argument} for a folder of images"
        )
    path = Path(arguments.required("checkpoint", "outputs/<day>/<time>/checkpoints/best.pt"))
    typed_out = arguments.values.get("out")
    if typed_out and (problem := unusable_folder(Path(typed_out))):
        raise ConfigError(f"out={typed_out}: {problem}")
    waiting_for("reading the checkpoint")
    restored = restore(path, arguments.overrides, trusted_packages(arguments))
    restored.configure_torch()
    waiting_for("reading the images")
    evaluation_set = _evaluation_set(restored, arguments)
    out = Path(typed_out or evaluation_folder(restored.path, evaluation_set.name))
    if problem := unwritable_folder(out):  # nobody has typed the folder of the run
        raise ConfigError(f"{out}, the folder of the results: {problem} with out=FOLDER")
    waiting_for("scoring the images")
    predictions = predictions_of(restored.classifier, evaluation_set.batches)
    results = as_document(predictions, restored.profile)
    document = json.dumps(results, indent=1)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(document + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"out={out}: {reason_of(error)}; type out=FOLDER") from error
    waiting_for("drawing figures")
    save_figures(_figures(predictions, restored, evaluation_set), out)
    hide_waiting()
    as_json = "--json" in arguments.flags
    text = document if as_json else as_tables(results, evaluation_set.name, out)
    sys.stdout.write(text + "\n")
    if evaluation_set.pictures is None:
        sys.stderr.write(f"{restored.profile.why_not_drawn}\n")


def evaluation_folder(checkpoint: Path, name: str) -> Path:
    """Return the folder for the figures, in the folder of the run; `name` is that of the images.

    A checkpoint that was copied elsewhere has it beside itself.
    """
    folder = checkpoint.resolve().parent
    run = folder.parent if folder.name == "checkpoints" else folder
    return run / "evaluation" / name


def _figures(
    predictions: Predictions, restored: Restored, evaluation_set: EvaluationSet
) -> Figures:
    profile, images = restored.profile, SPLITS.get(evaluation_set.name, evaluation_set.name)
    network = type(restored.classifier.model).__name__
    subject = Subject(network, profile.name, restored.epoch)
    figures = result_figures(predictions, profile, images, subject)
    if evaluation_set.pictures is None:
        return figures
    return figures | mistake_figures(predictions, profile, images, subject, evaluation_set.pictures)


def as_document(predictions: Predictions, profile: Profile) -> dict[str, Any]:
    """Return the metrics, the scores of each class and the confusion matrix as JSON values."""
    results: dict[str, Any] = {"images": int(predictions.counted.sum()), **predictions.metrics}
    if profile.label_type != "sequence":
        scores = predictions.by_class(len(profile.classes))
        results["classes"] = {
            name: {"precision": score.precision, "recall": score.recall, "images": score.actual}
            for name, score in zip(profile.classes, scores, strict=True)
        }
    if profile.label_type == "multiclass":
        results["confusion"] = predictions.confusion().tolist()
    return results


def as_tables(results: dict[str, Any], name: str, out: Path) -> str:
    """Return the results as tables for the console.

    name: the name of the evaluated images.
    out: the folder of the figures.
    """
    metrics = {key: value for key, value in results.items() if not isinstance(value, dict | list)}
    rows = [(key.replace("_", " "), f"{value:.4f}") for key, value in metrics.items()]
    rows[0] = (f"{name} images", f"{results['images']:,}")
    tables = [aligned(rows)]
    labels = [printable(label) for label in results.get("classes", ())]
    if "classes" in results:
        head = ("class", "precision", "recall", "images")
        scores = [
            (label, f"{score['precision']:.4f}", f"{score['recall']:.4f}", f"{score['images']:,}")
            for label, score in zip(labels, results["classes"].values(), strict=True)
        ]
        tables.append(aligned([head], scores))
    matrix = results.get("confusion", [])
    if 0 < len(matrix) <= MAX_PRINTED_CLASSES:
        counts = [(label, *map(str, row)) for label, row in zip(labels, matrix, strict=True)]
        tables.append(aligned([("true, in rows", *labels)], counts))
    return "\n".join([*tables, f"figures and metrics.json: {out}"])


def _evaluation_set(restored: Restored, arguments: Arguments) -> EvaluationSet:
    folder, split = arguments.values.get("folder"), arguments.values.get("split", "test")
    if folder is not None and "split" in arguments.values:
        raise ConfigError(f"split={split} and folder={folder}: type a split, or a folder, not both")
    if folder is not None:
        return _images_of_folder(restored, Path(folder))
    data = restored.data()
    splits = {"val": data.val, "test": data.test}
    require_split(split, data, splits)

    def pictures(indices: Sequence[int]) -> Sequence[Image]:
        return data.to_pictures(data.samples(split, indices)[0].cpu())

    return EvaluationSet(split, splits[split](), None if data.profile.why_not_drawn else pictures)


def _images_of_folder(restored: Restored, folder: Path) -> EvaluationSet:
    """Return the images in a folder, read as `data=image_folder` reads them for training."""
    profile = restored.profile
    if profile.label_type != "multiclass":
        raise ConfigError(
            f"folder={folder}: the network does not predict one class per image; type "
            "split=test or split=val instead of a folder"
        )
    if not folder.is_dir():
        raise DataError(f"folder={folder} is not a folder; type folder=PATH")
    listing = Listing.from_folder(folder, profile.classes).shuffled()
    if not listing.paths:
        raise DataError(
            f"folder={folder} has no subfolder with the name of a class, such as "
            f"{profile.classes[0]}; type folder=PATH"
        )
    files = restored.files(listing.paths)
    streaming = Streaming(files, listing.labels, restored.classifier.device, False, 0)
    batches = streaming.batches(np.arange(len(listing.labels)), restored.batch_size)
    return EvaluationSet(
        f"folder-{folder.resolve().name}",
        ((restored.pipeline(images), labels) for images, labels in batches),
        files.pictures,
    )


if __name__ == "__main__":
    leave(run_tool, evaluate, __doc__)
