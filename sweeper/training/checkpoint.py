"""The content of a checkpoint: a file of state dicts, read without executing pickled code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sweeper.errors import CheckpointError
from sweeper.losses import Adapter
from sweeper.training.checkpoint_file import read_checked

FORMAT = 3
"""The version of a checkpoint's layout."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, with all tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of sweeper.
    """
    if not path.is_file():
        # A run that is stopped within its first epoch has no best.pt.
        below = (checkpoint_in(path, name) for name in ("best.pt", "last.pt"))
        found = next((str(file) for file in below if file.is_file()), "")
        wanted = found or "the path of a run's checkpoints/best.pt or last.pt"
        raise CheckpointError(f"No checkpoint at {path}: type {wanted}")
    try:
        content = read_checked(path)
    except Exception as error:  # torch.load lets errors of many types through
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of sweeper (format {FORMAT})")
    return content


def checkpoint_in(path: Path, name: str) -> Path:
    """Return the checkpoint of this name in the folder of a run or a study, or a file's own path.

    Of a study it is that of the best trial. A folder without a checkpoint is returned as it is.
    """
    path = path.expanduser()
    if not path.is_dir():
        return path
    inside = (path / name, path / "checkpoints" / name, path / "best" / "checkpoints" / name)
    return next((file for file in inside if file.is_file()), path)


def eval_weights(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict of the network that a run evaluated.

    This is the averaged network if the run averaged its weights (`trainer.ema_decay`), else the
    trained one.
    """
    averaged = content["updates"]["ema"]
    if averaged is None:
        return dict(content["model"])
    prefix = "module."  # entries without it are AveragedModel's own, such as its update counter
    return {n.removeprefix(prefix): v for n, v in averaged.items() if n.startswith(prefix)}


def load_weights(model: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Load the weights of the checkpoint at `path` into the model.

    Raises:
        CheckpointError: the weights belong to another model; the message names one difference.
    """
    own = model.state_dict()
    for name in [*own, *weights]:
        shape = tuple(own[name].shape) if name in own else None
        saved_shape = tuple(weights[name].shape) if name in weights else None
        if shape != saved_shape:
            raise CheckpointError(
                f"{path} is of another model: {name} is {saved_shape or 'missing'} in the "
                f"checkpoint and {shape or 'missing'} in the network; type the overrides of the "
                "checkpoint's run"
            )
    model.load_state_dict(weights)


def load_adapter(adapter: Adapter, state: Mapping[str, Any], path: Path) -> None:
    """Load the state of the loss of the checkpoint at `path`: class means and class weights.

    Raises:
        CheckpointError: the state belongs to another loss.
    """
    try:
        adapter.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} is of another loss: type the overrides of the checkpoint's run"
        ) from error
