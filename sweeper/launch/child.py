"""The start of a process of this program that finds the same modules as this one."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def child_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child process: this one's, with `variables`."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, **(variables or {}), "PYTHONPATH": path}


def start_child(
    module: str,
    descriptors: Sequence[int],
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `python -m MODULE DESCRIPTOR... ARGUMENT...` in a session of its own.

    A Ctrl-C in the terminal does not reach it. It inherits the descriptors. `environment` is
    `child_environment()` by default.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, descriptors), *arguments],
        env=child_environment() if environment is None else environment,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
