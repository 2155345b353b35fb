"""Calls from Python that a signal ends, in a process of their own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

CALL = """
import signal, sweeper
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
small = ("tracking=none", "figures=false", "model=mlp", "trainer.epochs=100000",
         "trainer.train_limit=64", "trainer.val_limit=32")
try:
    {call}
except KeyboardInterrupt:
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    print("caught")
{after}
"""
RUN = "sweeper.run(*small, 'hydra.run.dir=first')"
STUDY = "sweeper.sweep(*small, 'optimizer.lr=interval(0.001,0.1)', 'hydra.sweeper.n_jobs=1')"
LOADED = """
from pathlib import Path
(folder,) = Path("multirun").iterdir()
print(sweeper.Study.load(folder).trials["state"].tolist())
"""


def interrupted(
    folder: Path, call: str, after: str, has_begun: Callable[[IO[str]], bool], number: int
) -> tuple[int, str]:
    """Send a signal once `has_begun`, which gets the output; return exit code and output."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-u", "-"], cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(CALL.format(call=call, after=after))
        process.stdin.close()
        process.stdin = None
        assert has_begun(process.stdout)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        return process.returncode, out + err


def prints_an_epoch(output: IO[str]) -> bool:
    return any("epoch " in line for line in iter(output.readline, ""))


def test_an_interrupted_run_is_saved_and_raises_keyboard_interrupt(tmp_path) -> None:
    code, printed = interrupted(tmp_path, RUN, "", prints_an_epoch, signal.SIGINT)
    assert code == 0, printed
    assert "caught\n" in printed
    assert "to resume:\n  python -m sweeper tracking=none" in printed
    assert (tmp_path / "first/checkpoints/last.pt").is_file()


def test_sigterm_saves_the_run_and_ends_the_process_as_it_would_have(tmp_path) -> None:
    code, printed = interrupted(tmp_path, RUN, "", prints_an_epoch, signal.SIGTERM)
    assert code == -signal.SIGTERM, printed
    assert (tmp_path / "first/checkpoints/last.pt").is_file()


def test_an_interrupted_study_puts_its_trials_back(tmp_path) -> None:
    def has_saved_a_trial(_: IO[str]) -> bool:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("multirun/*/0/checkpoints/last.pt")):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    code, printed = interrupted(tmp_path, STUDY, LOADED, has_saved_a_trial, signal.SIGINT)
    assert code == 0, printed
    assert "caught\n" in printed
    assert "['WAITING']" in printed.splitlines()
