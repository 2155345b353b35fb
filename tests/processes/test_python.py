"""The program that stands for Python behaves as Python does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no such program")
SHOW = """
import __main__, json, os, sys
names = ("__name__", "__file__", "__package__", "__doc__")
shown = {name: getattr(__main__, name, "missing") for name in names}
shown["spec"] = __spec__ and __spec__.name
print(json.dumps(shown | {"argv": sys.argv, "orig": sys.orig_argv[1:], "path": sys.path,
                          "folder": os.getcwd(), "variable": os.environ.get("MINE"),
                          "program": sys.executable, "input": sys.stdin.read()}))
"""
ENDS = {
    "code": "import sys; print('text'); sys.exit(7)",
    "text": "import sys; sys.exit('a reason')",
    "error": "raise ValueError('it fails')",
    "interrupt": "raise KeyboardInterrupt",
    "exit functions": "import atexit; atexit.register(print, 'last'); print('first')",
    "thread": "import threading, time; threading.Timer(0.1, print, ['later']).start()",
    "at once": "import os; print('lost'); os._exit(3)",
    "killed": "import os; os.kill(os.getpid(), 9)",
}


def ran(program: str, folder: Path, *arguments: str, **settings) -> tuple[int, str, str]:
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True,
                          check=False, **settings)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a file and a package to run."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/show.py").write_text(SHOW)
    (tmp_path / "inner/__init__.py").write_text("")
    (tmp_path / "inner/__main__.py").write_text(SHOW)
    return tmp_path


@pytest.mark.parametrize(
    "start", [["inner/show.py"], ["-m", "inner.show"], ["-m", "inner"], ["-c", SHOW]]
)
def test_a_program_sees_what_it_would_see_in_python(python, folder, monkeypatch, start) -> None:
    monkeypatch.setenv("MINE", "é")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    code, out, err = ran(python, folder, *start, "a b", "", input="typed")
    expected = ran(sys.executable, folder, *start, "a b", "", input="typed")
    assert (code, json.loads(out), err) == (0, json.loads(expected[1]), expected[2])


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_a_program_ends_as_it_would_end_in_python(python, tmp_path, text) -> None:
    (tmp_path / "ends.py").write_text(text)
    code, out, err = ran(python, tmp_path, "ends.py")
    expected = ran(sys.executable, tmp_path, "ends.py")
    assert (code, out, err.splitlines()[-1:]) == (*expected[:2], expected[2].splitlines()[-1:])


WAIT = "import sys, time; print('ready', flush=True); time.sleep(60)"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "wait.py"], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), "torch" in sys.modules)
child.kill()
print(child.wait())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_program(python, tmp_path, number) -> None:
    (tmp_path / "wait.py").write_text(WAIT)
    with subprocess.Popen([python, "wait.py"], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(30) == -number
        assert process.stdout.read() == b""  # closed, so the program itself has ended


def test_a_program_may_come_from_the_input(python, tmp_path) -> None:
    text = "import __main__, sys; print(sys.argv, sys.path[0], hasattr(__main__, '__file__'))"
    assert ran(python, tmp_path, "-", "x", input=text) == (0, "['-', 'x']  False\n", "")


def test_a_program_that_a_program_starts_is_forked_too(python, tmp_path) -> None:
    (tmp_path / "wait.py").write_text(WAIT)
    (tmp_path / "parent.py").write_text(PARENT)
    assert ran(python, tmp_path, "parent.py") == (0, "ready True\n-9\n", "")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(["-u", "loaded.py"], {}), (["loaded.py"], {"HOME": "/"}),
     (["loaded.py"], {"HYDRA_FULL_ERROR": "1"})],
)  # fmt: skip
def test_what_a_fork_cannot_stand_for_is_run_by_python_itself(
    python, tmp_path, arguments, variables
) -> None:
    (tmp_path / "loaded.py").write_text("import sys; print('torch' in sys.modules)")
    assert ran(python, tmp_path, "loaded.py") == (0, "True\n", "")
    outcome = ran(python, tmp_path, *arguments, env=os.environ | variables)
    assert outcome == (0, "False\n", "")
