"""Predict the classes of images with a trained network.

    python -m sweeper.predict checkpoint=PATH IMAGE... [--json]

IMAGE is an image file or a folder of image files. Prints the most probable classes of each image,
and draws the images with their predictions into one picture.

    checkpoint=PATH       such as outputs/<day>/<time>/checkpoints/best.pt
    top=3                 number of classes to print for each image
    grid=predictions.png  file of the picture; null for none
    trust=PACKAGE,...     your own packages that the checkpoint's config may call
    trainer.device=cpu    overrides the checkpoint's config; so does any other key with a dot
    --json                print one JSON document instead of lines
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sweeper.cli.arguments import Arguments, parse_arguments, run_tool
from sweeper.cli.typed import unusable_folder
from sweeper.data.image_files import FileImages, image_paths, pillow_mode
from sweeper.data.inverse import to_pil
from sweeper.errors import ConfigError, DataError
from sweeper.run.restore import Restored, restore, trusted_packages
from sweeper.text import printable

MAX_PICTURES = 64
"""The largest number of images in the grid; more would be too small to see."""


def predict(argv: Sequence[str]) -> None:
    """Print and draw the predictions of a checkpoint's network for image files.

    Raises:
        SweeperError: the checkpoint, an image or an argument is invalid.
    """
    arguments = parse_arguments(argv, ("checkpoint", "top", "grid", "trust"), ("--json",))
    checkpoint = arguments.required("checkpoint", "outputs/<day>/<time>/checkpoints/best.pt")
    paths = _paths(arguments.positional)
    top, grid = _top(arguments), _grid(arguments)
    restored = restore(Path(checkpoint), arguments.overrides, trusted_packages(arguments))
    files = _files(paths, restored)
    predictions = list(_predictions(restored, files, top))
    by_path = list(zip(paths, predictions, strict=True))
    if "--json" in arguments.flags:
        document = [{"image": str(path), **prediction} for path, prediction in by_path]
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        names = [printable(str(path)) for path in paths]
        width = max(map(len, names))
        for name, (_, prediction) in zip(names, by_path, strict=True):
            sys.stdout.write(f"{name:<{width}}  {printable(as_text(prediction))}\n")
    if grid is not None:
        _draw(grid, files, [as_text(prediction, "\n") for prediction in predictions], restored)


def as_text(prediction: dict[str, Any], separator: str = "  ") -> str:
    """Return a prediction as text: the predicted labels, then classes with their probabilities."""
    if "text" in prediction:
        return f"{prediction['text'] or '(nothing)'} {prediction['probability']:.3f}"
    parts = [f"{entry['class']} {entry['probability']:.3f}" for entry in prediction["top"]]
    if "labels" in prediction:
        parts.insert(0, f"[{', '.join(prediction['labels']) or 'none'}]")
    return separator.join(parts)


def _paths(arguments: Sequence[str]) -> list[Path]:
    """Return the image files that the arguments name, with all those in a folder."""
    if not arguments:
        raise ConfigError("no images to predict: type the paths of image files, or of a folder")
    paths: list[Path] = []
    for path in map(Path, arguments):
        if not path.exists():
            raise DataError(f"{path} does not exist: type the path of an image, or of a folder")
        paths += image_paths(path) if path.is_dir() else [path]
    return paths


def _top(arguments: Arguments) -> int:
    text = arguments.values.get("top", "3")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"top={text}: expected a positive number of classes; type top=3")
    return int(text)


def _grid(arguments: Arguments) -> Path | None:
    """Return the file of the picture, or None for no picture."""
    text = arguments.values.get("grid", "predictions.png")
    if text == "null":
        return None
    path = Path(text)
    problem = unusable_folder(path.parent)
    if problem is None and not path.parent.is_dir():
        problem = f"there is no folder {path.parent}"
    if problem is None and (not path.suffix or path.is_dir()):
        problem = "it is not the name of an image file"
    if problem is not None:
        raise ConfigError(
            f"grid={text} cannot be written ({problem}); type grid=FILE.png, or grid=null for none"
        )
    return path


def _files(paths: Sequence[Path], restored: Restored) -> FileImages:
    channels, height, width = restored.profile.image_shape
    files = FileImages(tuple(paths), (height, width), pillow_mode(channels))
    files.check_headers()
    return files


@torch.inference_mode()
def _predictions(restored: Restored, files: FileImages, top: int) -> Iterator[dict[str, Any]]:
    """Yield the prediction for each image, batch by batch."""
    classifier, count = restored.classifier, len(files.paths)
    for first in range(0, count, restored.batch_size):
        indices = np.arange(first, min(first + restored.batch_size, count))
        images = restored.pipeline(torch.from_numpy(files[indices]).to(classifier.device))
        ((outputs, _),) = classifier.outputs([(images, torch.empty(0))])
        predicted = classifier.adapter.predict(outputs).cpu()
        probabilities = classifier.adapter.probabilities(outputs).cpu()
        for labels, scores in zip(predicted, probabilities, strict=True):
            yield prediction_of(restored, labels, scores, top)


def prediction_of(restored: Restored, labels: Tensor, scores: Tensor, top: int) -> dict[str, Any]:
    """Return the prediction for one image as JSON values.

    labels: the predicted labels. () int64 for one class per image, (C,) bool for sets of classes,
        (L,) int64 for strings.
    scores: (C,) float probabilities of the classes, or () float for a string.
    """
    profile = restored.profile
    if profile.label_type == "sequence":
        return {"text": profile.label_text(labels), "probability": scores.item()}
    ranks = scores.clone()
    if profile.label_type == "multiclass":
        ranks[labels] = torch.inf  # the prediction is first even if another class has its score
    best = ranks.topk(min(top, len(scores))).indices.tolist()
    prediction: dict[str, Any] = {
        "top": [
            {"class": profile.classes[index], "probability": scores[index].item()} for index in best
        ]
    }
    if profile.label_type == "multilabel":
        indices = labels.nonzero()[:, 0].tolist()
        prediction["labels"] = [profile.classes[index] for index in indices]
    return prediction


def _draw(path: Path, files: FileImages, titles: Sequence[str], restored: Restored) -> None:
    from sweeper.figures.grid_of_images import image_grid  # imports matplotlib

    count = min(len(titles), MAX_PICTURES)
    images = torch.from_numpy(files[np.arange(count)])
    shown = f"{count} of {len(titles)} images" if count < len(titles) else f"images: {count}"
    network = f"{type(restored.classifier.model).__name__} trained on {restored.profile.name}"
    figure = image_grid(
        [to_pil(image) for image in images],
        titles[:count],
        heading="Predicted classes and their probabilities",
        about=f"{network} · network of epoch {restored.epoch} · {shown}",
    )
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"grid={path} cannot be written ({error}); type grid=FILE.png") from error


if __name__ == "__main__":
    run_tool(predict, __doc__)
