"""The backward pass; with `trainer.detect_anomaly` it names the operation whose gradient is nan."""

import os
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from sweeper.errors import TrainingError
from sweeper.text import printable

STACK = "Error detected in"
"""The beginning of torch's warning that shows the calls of the forward pass."""
_NAN = re.compile(r"Function '(\w+?)(?:Backward\d*)?' returned nan values")
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in .*(?:\n {4}(.*))?', re.MULTILINE)
_FOLDER_OF_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_shown: set[tuple[str, type[Warning], str, int]] = set()


def back_propagate(loss: Tensor) -> None:
    """Compute the gradient of a scalar loss, and add it to those of the weights.

    Raises:
        TrainingError: a gradient is nan, and torch looks for that (`trainer.detect_anomaly`). The
            message names the operation and the last line outside torch that has called it.
    """
    if not torch.is_anomaly_enabled():
        loss.backward()  # type: ignore[no-untyped-call]
        return
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", STACK)
            loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        operation = _NAN.match(str(error))
        if operation is None:
            raise
        stack = "".join(str(each.message) for each in caught)
        caught.clear()
        raise TrainingError(
            f"The gradient of the operation {operation[1]} is nan{_place(stack)}. An input of 0 to "
            "a root, a logarithm or a division may be the cause"
        ) from error
    finally:  # torch shows the calls for other errors too
        for each in caught:
            _show_once(each)


def _show_once(caught: warnings.WarningMessage) -> None:
    """Show a warning that was caught, unless it was shown before.

    Python itself forgets what it has shown each time that warnings are caught: in each batch.
    """
    where = caught.category, caught.filename, caught.lineno
    if (str(caught.message), *where) not in _shown:
        warnings.warn_explicit(caught.message, *where)
        _shown.add((str(caught.message), *where))


def _place(stack: str) -> str:
    """Return the last line outside torch of a formatted stack, for a message."""
    frames = [frame for frame in _FRAME.findall(stack) if not frame[0].startswith(_FOLDER_OF_TORCH)]
    if not frames:
        return ""
    file, line, source = frames[-1]
    return printable(f", at {file}:{line}: {source}".rstrip(": "))
