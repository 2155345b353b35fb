"""Predict the classes of images with a trained network.

    python -m sweeper.predict checkpoint=PATH IMAGE... [--json]
    python -m sweeper.predict checkpoint=PATH split=test count=10 [--json]

IMAGE is an image file or a folder of image files. Prints the most probable classes of each image,
and draws the images with their predictions into one picture. With split=NAME the images are the
first ones of a split of the data that the network was trained on, and their true labels are shown.

    checkpoint=PATH       such as outputs/<day>/<time>/checkpoints/best.pt, or the folder of a run
                          or of a study
    split=test            train, val or test, in place of image files
    count=10              number of images of the split
    top=3                 number of classes to print for each image
    grid=predictions.png  file of the picture; null for none
    trust=PACKAGE,...     your own packages that the checkpoint's config may call
    data.root=FOLDER      overrides the checkpoint's config; so does any other key with a dot
    --json                print one JSON document instead of lines
"""

# ruff: noqa: E402  torch takes seconds to import, and nobody should wonder what happens meanwhile

from sweeper.cli.waiting import begin_waiting, hide_waiting, waiting_for

if __name__ == "__main__":
    begin_waiting("importing torch")

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from sweeper.cli.arguments import Arguments, parse_arguments, run_tool
from sweeper.cli.leaving import leave
from sweeper.cli.typed import unusable_file
from sweeper.data.batches import Streaming
from sweeper.data.image_files import image_paths
from sweeper.errors import ConfigError, DataError
from sweeper.run.restore import Restored, require_split, restore, trusted_packages
from sweeper.text import aligned, printable

N_IMAGES = 10
"""The number of images of a split, if it has as many and no other number was typed."""
MAX_PICTURES = 64
"""The largest number of images in the grid; more would be too small to see."""


@dataclass(frozen=True)
class Shown:
    """The images to predict.

    names: the paths of the files, or the numbers of the images in the split, from 0.
    batches: images for the network, in the order of the names.
    pictures: a function that returns the pictures of the first so many images; None if they cannot
        be drawn.
    truths: the true labels of the images; None for image files.
    """

    names: Sequence[str | int]
    batches: Iterable[Tensor]
    pictures: Callable[[int], Sequence[Image]] | None
    truths: Tensor | None = None


def predict(argv: Sequence[str]) -> None:
    """Print and draw the predictions of a checkpoint's network for images.

    Raises:
        SweeperError: the checkpoint, an image or an argument is invalid.
    """
    keys = ("checkpoint", "split", "count", "top", "grid", "trust")
    arguments = parse_arguments(argv, keys, ("--json",))
    checkpoint = arguments.required("checkpoint", "outputs/<day>/<time>/checkpoints/best.pt")
    split = _split(arguments)
    paths = _paths(arguments) if split is None else []
    top = _number(arguments, "top", 3)
    count = _number(arguments, "count", N_IMAGES) if "count" in arguments.values else None
    grid = _grid(arguments)
    waiting_for("reading the checkpoint")
    restored = restore(Path(checkpoint), arguments.overrides, trusted_packages(arguments))
    restored.configure_torch()
    shown = _files(paths, restored) if split is None else _of_split(split, count, restored)
    waiting_for("predicting")
    answers = _answers(restored, shown, top)
    hide_waiting()
    as_json = "--json" in arguments.flags
    if as_json:
        sys.stdout.write(json.dumps(answers, indent=1) + "\n")
    else:
        sys.stdout.write(_lines(answers) if split is None else _table(split, answers))
    if grid is not None:
        drawn = _draw(grid, shown, answers, restored)
        # The document alone goes to the output, so that other programs can read it.
        (sys.stderr if as_json else sys.stdout).write(f"{drawn}\n")


def _answers(restored: Restored, shown: Shown, top: int) -> list[dict[str, Any]]:
    """Return the name and the prediction of each image, and its true labels if they are known."""
    predicted = _predictions(restored, shown.batches, top)
    if shown.truths is None:
        named = zip(shown.names, predicted, strict=True)
        return [{"image": name, **prediction} for name, (_, prediction) in named]
    answers, text_of = [], restored.profile.label_text
    for name, truth, (labels, prediction) in zip(shown.names, shown.truths, predicted, strict=True):
        known = {"true": text_of(truth), "predicted": text_of(labels)}
        answers.append({"image": name, **known, **prediction})
    return answers


def _lines(answers: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each image file."""
    names = [printable(answer["image"]) for answer in answers]
    width = max(map(len, names))
    rows = zip(names, answers, strict=True)
    return "".join(f"{name:<{width}}  {printable(as_text(answer))}\n" for name, answer in rows)


def _table(split: str, answers: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the images of a split, with a mark beside the wrong predictions."""
    wrong = [answer["true"] != answer["predicted"] for answer in answers]
    rows = [
        (
            str(answer["image"]),
            *(printable(answer[key]) for key in ("true", "predicted")),
            "x" if is_wrong else "",
            printable(as_text(answer)),
        )
        for answer, is_wrong in zip(answers, wrong, strict=True)
    ]
    head = (split, "true", "predicted", "", "probabilities")
    right = f"{len(wrong) - sum(wrong)} of {len(wrong)} are right\n"
    return aligned([head], rows, left=len(head)) + right


def as_text(prediction: Mapping[str, Any], separator: str = "  ") -> str:
    """Return a prediction as text: the predicted labels, then classes with their probabilities."""
    if "text" in prediction:
        return f"{prediction['text'] or '(nothing)'} {prediction['probability']:.3f}"
    parts = [f"{entry['class']} {entry['probability']:.3f}" for entry in prediction["top"]]
    if "labels" in prediction:
        parts.insert(0, f"[{', '.join(prediction['labels']) or 'none'}]")
    return separator.join(parts)


def _paths(arguments: Arguments) -> list[Path]:
    """Return the image files that the arguments name, with all those in a folder."""
    if not arguments.positional:
        raise ConfigError(
            "no images to predict: type the paths of image files, or of a folder, or split=test"
        )
    if "count" in arguments.values:
        raise ConfigError("count is the number of images of a split; type split=test, or no count")
    paths: list[Path] = []
    for path in map(Path, arguments.positional):
        if not path.exists():
            raise DataError(f"{path} does not exist: type the path of an image, or of a folder")
        paths += image_paths(path) if path.is_dir() else [path]
    return paths


def _split(arguments: Arguments) -> str | None:
    split = arguments.values.get("split")
    if split is not None and arguments.positional:
        raise ConfigError(
            f"split={split} and {arguments.positional[0]}: type a split, or image files, not both"
        )
    return split


def _number(arguments: Arguments, key: str, default: int) -> int:
    text = arguments.values.get(key, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{key}={text}: expected a positive number; type {key}={default}")
    return int(text)


def _grid(arguments: Arguments) -> Path | None:
    """Return the file of the picture, or None for no picture."""
    text = arguments.values.get("grid", "predictions.png")
    if text == "null":
        return None
    path = Path(text)
    problem = unusable_file(path)
    if problem is None and (not path.suffix or path.is_dir()):
        problem = "it is not the name of an image file"
    if problem is not None:
        raise ConfigError(
            f"grid={text} cannot be written ({problem}); type grid=FILE.png, or grid=null for none"
        )
    return path


def _files(paths: Sequence[Path], restored: Restored) -> Shown:
    """Return image files, decoded as those of the training data."""
    files, order = restored.files(paths), np.arange(len(paths))
    streaming = Streaming(files, order, restored.classifier.device, False, 0)
    batches = streaming.batches(order, restored.batch_size)
    return Shown(
        [str(path) for path in paths],
        (restored.pipeline(images) for images, _ in batches),
        lambda count: files.pictures(range(count)),
    )


def _of_split(split: str, typed: int | None, restored: Restored) -> Shown:
    """Return the first images of a split of the data that the network was trained on.

    typed: the number of images; None for the default.

    Raises:
        ConfigError: there is no such split, or it has fewer images.
    """
    data = restored.data()
    require_split(split, data, data.sizes)
    size = data.sizes[split]
    count = min(N_IMAGES, size) if typed is None else typed
    if count > size:
        raise ConfigError(f"count={count}: split={split} has {size} images; type count={size}")
    images, labels = data.samples(split, range(count))

    def pictures(n_drawn: int) -> Sequence[Image]:
        return data.to_pictures(images[:n_drawn].cpu())

    return Shown(
        range(count),
        torch.split(images, restored.batch_size),
        None if data.profile.why_not_drawn else pictures,
        labels.cpu(),
    )


@torch.inference_mode()
def _predictions(
    restored: Restored, batches: Iterable[Tensor], top: int
) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Yield the predicted labels and the prediction for each image, batch by batch."""
    classifier = restored.classifier
    for images in batches:
        ((outputs, _),) = classifier.outputs([(images, torch.empty(0))])
        predicted = classifier.adapter.predict(outputs).cpu()
        probabilities = classifier.adapter.probabilities(outputs).cpu()
        for labels, scores in zip(predicted, probabilities, strict=True):
            yield labels, prediction_of(restored, labels, scores, top)


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


def _draw(
    path: Path, shown: Shown, answers: Sequence[Mapping[str, Any]], restored: Restored
) -> str:
    """Draw the images with their names or true labels, and predictions; return a line about it."""
    if shown.pictures is None:
        return str(restored.profile.why_not_drawn)
    waiting_for(f"drawing {path}")
    from sweeper.figures.grid_of_images import image_grid  # imports matplotlib

    drawn = answers[:MAX_PICTURES]
    titles = [heading(answer, drawn) + "\n" + as_text(answer, "\n") for answer in drawn]
    network = f"{type(restored.classifier.model).__name__} trained on {restored.profile.name}"
    is_part = len(drawn) < len(answers)
    count = f"{len(drawn)} of {len(answers)} images" if is_part else f"images: {len(drawn)}"
    figure = image_grid(
        shown.pictures(len(drawn)),
        titles,
        heading="Predicted classes and their probabilities",
        about=f"{network} · network of epoch {restored.epoch} · {count}",
    )
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"grid={path} cannot be written ({error}); type grid=FILE.png") from error
    hide_waiting()
    return f"{f'the first {len(drawn)} images' if is_part else 'picture'}: {printable(str(path))}"


def heading(answer: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> str:
    """Return the first line above a picture: its true labels, or the name of its file.

    The folder is named too if another file has the same name.
    """
    if "true" in answer:
        is_wrong = answer["true"] != answer["predicted"]
        return f"true {answer['true']}" + (", wrong" if is_wrong else "")
    path = Path(answer["image"])
    same = [each for each in answers if Path(each["image"]).name == path.name]
    return path.name if len(same) == 1 else f"{path.parent.name}/{path.name}"


if __name__ == "__main__":
    leave(run_tool, predict, __doc__)
