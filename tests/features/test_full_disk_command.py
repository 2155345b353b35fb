"""A whole command on a disk that is full before its first write or becomes full: no traceback."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FILL = """
from sweeper.training.callback import Callback

class Fill(Callback):
    def __init__(self, file):
        self.file = file
    def on_epoch_start(self, state):
        if state.epoch == 2:
            with open(self.file, "ab", buffering=0) as file:
                for size in (4096, 1):
                    try:
                        while file.write(bytes(size)):
                            pass
                    except OSError:
                        continue
"""
QUICK = ("trainer.train_limit=100", "trainer.val_limit=50", "model.channels=[4,8]")


@pytest.fixture
def full(python, small_disk, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command on a small disk, which is full from its third epoch."""
    (tmp_path / "fill.py").write_text(FILL)

    def command(*overrides: str) -> subprocess.CompletedProcess[str]:
        fills = ("+callbacks.fill._target_=fill.Fill", f"+callbacks.fill.file={small_disk}/filler")
        words = [*QUICK, *fills, f"hydra.run.dir={small_disk}/run", *overrides]
        return subprocess.run(
            [python, "-m", "sweeper", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])},
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def test_logs_pictures_and_checkpoints_that_do_not_fit_are_a_line_each(full, tmp_path) -> None:
    # So many epochs that the log needs more room.
    done = full("tracking=none", "trainer.epochs=60")
    assert done.returncode == 0
    assert "test accuracy" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all("No space left on device" in line for line in lines)
    for file in ("run/checkpoints ", "sweeper.log ", "best.pt ", "run/figures "):
        assert any(file in line for line in lines), file
    whole = {path for path in (tmp_path / "disk").rglob("*.*") if path.is_file()}
    assert all(path.stat().st_size for path in whole)


def test_pictures_of_the_network_that_do_not_fit_do_not_end_the_run(full) -> None:
    done = full("tracking=tensorboard", "trainer.epochs=4")
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert "records for TensorBoard are lost (No space left on device)" in done.stderr
