"""The files of an MLflow model: a network in the format `pt2`, which needs no pickle to be read."""

import logging
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr
from importlib.metadata import version
from io import TextIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sweeper.errors import ConfigError, SweeperError
from sweeper.text import in_one_line, shortened
from sweeper.tracking.imported import import_mlflow
from sweeper.tracking.tracker import BuildModel, ServedModel

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

NEEDED = ("mlflow", "torch", "numpy")
"""The packages that load the model. To infer them would take MLflow seven seconds."""


class ModelError(SweeperError):
    """The network cannot be exported; the message says why, in one line."""


_lock = threading.Lock()
"""Held during an export: torch can do one at a time."""


class _WithoutThisThread(TextIOBase):
    """A stream that passes on what the other threads write, such as that records are not delivered.

    `redirect_stderr` is of the whole process.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._silent = stream, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._silent:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def write_model(build: BuildModel, folder: Path) -> None:
    """Build a network, and write it as an MLflow model to `folder`.

    What a process that died in the middle of it has left there is removed.

    Raises:
        ModelError: the network cannot be built, or torch cannot export it.
    """
    try:
        # MLflow and torch warn of their own code, and torch prints a network that it cannot export.
        with _lock, warnings.catch_warnings(), redirect_stderr(_WithoutThisThread(sys.stderr)):
            warnings.simplefilter("ignore")
            if folder.exists():
                shutil.rmtree(folder)
            model = build()
            _write(model.network, model.images, folder, model.description)
            _check(model.network, model.images, folder)
    except ModelError:
        raise
    except SweeperError as error:
        raise ModelError(in_one_line(error)) from error
    except Exception as error:  # anything may be raised while anyone's network is traced
        raise ModelError(f"{type(error).__name__}: {shortened(in_one_line(error), 200)}") from error


def rehearse() -> None:
    """Write a small model, since the first one of a process takes seconds of imports."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(_small_model, Path(folder, "model"))


def _small_model() -> ServedModel:
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2))
            self.layers = nn.Sequential(*layers, nn.Softmax(dim=1)).requires_grad_(False)

        def forward(self, images: "Tensor") -> "Tensor":
            return self.layers(images / 255)  # type: ignore[no-any-return]

    return ServedModel(Network().eval(), torch.zeros(2, 1, 4, 4, dtype=torch.uint8), {})


def _write(
    network: "nn.Module", images: "Tensor", folder: Path, description: Mapping[str, Any]
) -> None:
    import numpy as np
    import torch

    import_mlflow()
    import mlflow.pytorch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    with torch.no_grad():
        outputs = network(images)
    of_images = TensorSpec(np.dtype("uint8"), (-1, *images.shape[1:]))
    of_outputs = TensorSpec(np.dtype("float32"), (-1, *outputs.shape[1:]))
    mlflow.pytorch.save_model(
        network,
        str(folder),
        signature=ModelSignature(Schema([of_images]), Schema([of_outputs])),
        input_example=images.numpy(),
        pip_requirements=[f"{name}=={_public_version(name)}" for name in NEEDED],
        serialization_format="pt2",
        metadata=dict(description),
    )


def _check(network: "nn.Module", images: "Tensor", folder: Path) -> None:
    """Check that the written model gives the network's outputs, also for another number of images.

    Raises:
        ModelError: it does not.
    """
    import torch

    exported = torch.export.load(folder / "data" / "model.pt2").module()
    with torch.no_grad():
        for batch in (images, images[:1]):
            if not torch.allclose(exported(batch), network(batch), atol=1e-5):
                raise ModelError("the exported network gives other numbers than the network")


def check_name(name: str | None) -> None:
    """Check a name for the model registry.

    Raises:
        ConfigError: MLflow allows no such name.
    """
    if name is not None and not re.fullmatch(r"[^/:\s.][^/:]*", name):
        raise ConfigError(
            f"tracking.register={name}: a name in MLflow's model registry has neither / nor :, and "
            "begins with a letter or a digit; type another one, such as tracking.register=digits"
        )


def _public_version(name: str) -> str:
    """Return the version of a package without the part that names a build, such as `+cpu`."""
    return version(name).partition("+")[0]
