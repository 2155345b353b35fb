"""Classes of images, by a trained network.

    python -m sweeper.predict checkpoint=PATH IMAGE... [--json]

IMAGE is an image file, or a folder of them. For each image the most probable classes are
printed, and all of them are drawn into one picture with what was predicted.

    checkpoint=PATH       outputs/<day>/<time>/checkpoints/best.pt
    top=3                 classes an image
    grid=predictions.png  the picture; null draws none
    trust=PACKAGE,...     own code that the checkpoint calls
    trainer.device=cpu    and any other key of its config with a dot
    --json                one JSON document instead of lines
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sweeper.cli.arguments import Arguments, parsed, run_tool
from sweeper.data.image_files import FileImages, image_paths, mode_of
from sweeper.data.inverse import to_pil
from sweeper.errors import ConfigError, DataError
from sweeper.run.restore import Restored, restore, trusted_packages

PICTURES = 64
"""Images that are drawn at most; a grid of more shows nothing."""


def predict(argv: Sequence[str]) -> None:
    """Print what the network of a checkpoint sees in image files.

    Raises:
        SweeperError: the checkpoint, an image or an argument cannot work.
    """
    arguments = parsed(argv, ("checkpoint", "top", "grid", "trust"), ("--json",))
    checkpoint = arguments.required("checkpoint", "outputs/<day>/<time>/checkpoints/best.pt")
    paths = _paths(arguments.rest)
    top = _top(arguments)
    restored = restore(Path(checkpoint), arguments.overrides, trusted_packages(arguments))
    files = _files(paths, restored)
    answers = list(_answers(restored, files, top))
    if "--json" in arguments.flags:
        named = [{"image": str(p), **answer} for p, answer in zip(paths, answers, strict=True)]
        sys.stdout.write(json.dumps(named, indent=1) + "\n")
    else:
        width = max(len(str(path)) for path in paths)
        for path, answer in zip(paths, answers, strict=True):
            sys.stdout.write(f"{path!s:<{width}}  {in_words(answer)}\n")
    grid = arguments.values.get("grid", "predictions.png")
    if grid != "null":
        _draw(Path(grid), files, [in_words(answer, "\n") for answer in answers])


def in_words(answer: dict[str, Any], separator: str = "  ") -> str:
    """Return an answer as text: the labels, then what was probable."""
    if "text" in answer:
        return f"{answer['text'] or '(nothing)'} {answer['probability']:.3f}"
    probable = [f"{one['class']} {one['probability']:.3f}" for one in answer["top"]]
    if "labels" in answer:
        probable.insert(0, f"[{', '.join(answer['labels']) or 'none'}]")
    return separator.join(probable)


def _paths(given: Sequence[str]) -> list[Path]:
    if not given:
        raise ConfigError("no image was named: type the paths of image files, or of a folder")
    found: list[Path] = []
    for path in map(Path, given):
        if not path.exists():
            raise DataError(f"{path} is not there: type the path of an image, or of a folder")
        found += image_paths(path) if path.is_dir() else [path]
    return found


def _top(arguments: Arguments) -> int:
    text = arguments.values.get("top", "3")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"top={text}: expected a number of classes, such as top=3")
    return int(text)


def _files(paths: Sequence[Path], restored: Restored) -> FileImages:
    channels, height, width = restored.profile.image_shape
    files = FileImages(tuple(paths), (height, width), mode_of(channels))
    files.check_headers()
    return files


@torch.inference_mode()
def _answers(restored: Restored, files: FileImages, top: int) -> Iterator[dict[str, Any]]:
    """Yield what the network says of each image."""
    classifier, count = restored.classifier, len(files.paths)
    for first in range(0, count, restored.batch_size):
        indices = np.arange(first, min(first + restored.batch_size, count))
        images = restored.pipeline(torch.from_numpy(files[indices]).to(classifier.device))
        ((outputs, _),) = classifier.outputs([(images, torch.empty(0))])
        predicted = classifier.adapter.predict(outputs).cpu()
        probabilities = classifier.adapter.probabilities(outputs).cpu()
        for labels, scores in zip(predicted, probabilities, strict=True):
            yield answer_for(restored, labels, scores, top)


def answer_for(restored: Restored, labels: Tensor, scores: Tensor, top: int) -> dict[str, Any]:
    """Return the answer for one image as plain values."""
    profile = restored.profile
    if profile.label_type == "sequence":
        return {"text": profile.named(labels), "probability": scores.item()}
    ranks = scores.clone()
    if profile.label_type == "multiclass":
        ranks[labels] = torch.inf  # the prediction, where rounding has tied it with another class
    best = ranks.topk(min(top, len(scores))).indices.tolist()
    answer: dict[str, Any] = {
        "top": [
            {"class": profile.classes[index], "probability": scores[index].item()} for index in best
        ]
    }
    if profile.label_type == "multilabel":
        answer["labels"] = [profile.classes[index] for index in labels.nonzero()[:, 0].tolist()]
    return answer


def _draw(path: Path, files: FileImages, titles: Sequence[str]) -> None:
    from sweeper.figures.grid_of_images import image_grid  # brings in matplotlib

    shown = min(len(titles), PICTURES)
    pixels = torch.from_numpy(files[np.arange(shown)])
    figure = image_grid([to_pil(image) for image in pixels], titles[:shown])
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise ConfigError(f"grid={path} cannot be written ({error}); type grid=FILE.png") from error


if __name__ == "__main__":
    run_tool(predict, __doc__)
