"""Tests of the command line, which runs in a separate process."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from sweeper.configs import CONFIGS
from sweeper.locks import locked


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sweeper", *arguments]


@pytest.fixture
def sweeper(python: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command in a folder."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        words = [python, "-m", "sweeper", *arguments]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_help_and_config_load_neither_torch_nor_mlflow(tmp_path, flags) -> None:
    code = (
        "import sys, runpy, json; sys.argv[1:] = json.loads(sys.argv[1])\n"
        "try: runpy.run_module('sweeper', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'mlflow', 'matplotlib', 'sklearn', 'optuna'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(flags)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_help_lists_groups_options_and_examples(sweeper, tmp_path) -> None:
    text = sweeper(tmp_path, "--help").stdout
    for group in (folder for folder in CONFIGS.iterdir() if folder.is_dir()):
        if group.name != "hydra":
            options = sorted(path.stem for path in group.glob("*.yaml"))
            assert f"\n{group.name}: {', '.join(options)}\n" in text
    assert text.count("\n  python -m sweeper") >= 3
    for command in ("inspect", "evaluate", "predict", "explain", "worker", "tracking.deliver"):
        assert f"python -m sweeper.{command} " in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["model=alexnte"], "model=alexnte: there is no such option; type model=alexnet"),
        (["model.kernel_sise=3"], "type model.kernel_size=3"),
        (["hydra.sweeper.n_trials=abc"], "n_trials=abc: expected a valid integer; type hydra."),
        (["optimizer=null"], "optimizer=null: there is no such option; choose one of"),
        (["optimizer.lr=["], "optimizer.lr=[: "),
        (["trainer.epochs=abc"], "trainer.epochs=abc: expected"),
        (["tracking.model=maybe"], "tracking.model=maybe: expected true or false or 'auto'"),
        (
            ["data=image_folder", "data.root=nowhere"],
            "nowhere is not a folder; type data.root=FOLDER",
        ),
        (["resume=nothing.pt"], "No checkpoint at nothing.pt"),
        (["init.weights=nothing.pt"], "init.weights=nothing.pt cannot be read"),
        (["trainer.freeze=[featurs]"], "did you mean features"),
        (["loss=ctc"], "data=digits has one class per image: type loss=cross_entropy"),
        (["hydra.run.dir=/dev/null/run"], "/dev/null/run: Not a directory"),
        (["--config-dir", "nowhere"], "nowhere: there is no such folder"),
        (["--config-name=foo"], "--config-name foo: there is no such config; leave it out"),
        (["--config-path=/nowhere"], "--config-path: there is no folder /nowhere; leave it out"),
        (["trainer.epochs=1,000"], "the values 1 and 000; type trainer.epochs=1000, without"),
        (["--multirun", "seed=1,000"], "is read as the values 1 and 000; type seed=1000"),
        (
            ["--multirun", "seed=1,2", "study=compare", "hydra.sweeper.study_name=a"],
            "study a does not exist (there is no file ",
        ),
        (["--multirun", "hydra.sweeper.n_jobs=1,2"], "a key of Hydra's has one; type one of them"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(sweeper, tmp_path, arguments, line) -> None:
    done = sweeper(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert line in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--epochs=3"], 2, "--epochs=3: keys have no dashes; type trainer.epochs=3"),
        (["model", "cnn"], 1, "model: type model=cnn"),
        (["--multirun", "--cfg", "job"], 2,
         "--multirun and --cfg are different commands; type one of them; "
         "--help shows what to type"),
        (["--multirun", "epochs=1,2"], 1,
         "epochs=1,2: there is no key epochs; type trainer.epochs=1,2"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line_that_says_what_to_type(
    sweeper, tmp_path, arguments, code, line
) -> None:
    done = sweeper(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{line}\n")
    assert list(tmp_path.iterdir()) == []


def test_an_override_may_refer_to_what_a_single_run_lacks(sweeper, tmp_path) -> None:
    missing = "hydra.sweep.subdir=${hydra.job.num}"
    done = sweeper(tmp_path, missing, "trainer=debug", "tracking=none")
    assert done.returncode == 0, done.stderr


def test_a_run_on_a_pipe_prints_plain_lines(sweeper, tmp_path) -> None:
    done = sweeper(tmp_path, "trainer=quick", "tracking=none", "hydra.run.dir=out")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run           model=cnn data=digits optimizer=adam")
    assert lines[-1] == "  python -m sweeper.predict checkpoint=out IMAGE..."
    assert done.stderr == ""


def test_the_console_script_runs_a_study_as_the_module_does(python, tmp_path) -> None:
    code = "import sys; sys.argv[0] = 'bin/sweeper'; from sweeper.__main__ import script; script()"
    study = ["--multirun", "model=cnn,mlp", "trainer=quick", "tracking=none"]
    done = subprocess.run(
        [python, "-c", code, *study], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 trials done" in done.stdout
    assert "python -m sweeper model=" in done.stdout.splitlines()[-1]
    assert not any("\x1b" in line or "\r" in line for line in done.stdout.splitlines())


def test_the_console_script_finds_modules_beside_the_user(tmp_path, monkeypatch) -> None:
    from sweeper.__main__ import script

    found: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["bin"])
    monkeypatch.setattr("sweeper.__main__.main", lambda: found.extend(sys.path))
    script()
    assert found == [str(tmp_path), "bin"]


def test_the_version_is_that_of_this_package(sweeper, tmp_path) -> None:
    assert sweeper(tmp_path, "--version").stdout == f"sweeper {version('sweeper')}\n"


def test_bad_input_does_not_remove_existing_files(sweeper, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("content")
    assert sweeper(tmp_path, "optimizer.lr=-1", "hydra.run.dir=.").returncode == 1
    assert (tmp_path / "mine.txt").read_text() == "content"


def test_bad_input_does_not_remove_existing_folders(sweeper, tmp_path) -> None:
    folder = tmp_path / "mine/empty"
    folder.mkdir(parents=True)
    assert sweeper(folder, "optimizer.lr=-1", "hydra.run.dir=.").returncode == 1
    assert folder.is_dir()


def test_paths_are_relative_to_the_folder_of_the_command(sweeper, tmp_path) -> None:
    quick = ["trainer=quick", "tracking=none", "figures=false", "hydra.job.chdir=true"]
    assert sweeper(tmp_path, *quick, "hydra.run.dir=one").returncode == 0
    resume = ["hydra.run.dir=two", "resume=one/checkpoints/last.pt"]
    done = sweeper(tmp_path, *quick, *resume)
    assert done.returncode == 0, done.stderr


def test_a_second_run_in_a_folder_is_one_line(sweeper, tmp_path) -> None:
    with locked(tmp_path):
        done = sweeper(tmp_path, "hydra.run.dir=.")
    assert done.returncode == 1
    assert done.stderr.startswith(f"hydra.run.dir={tmp_path}: another run is writing to this")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_hydra_full_error_prints_the_traceback(sweeper, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in sweeper(tmp_path, "optimizer.lr=-1").stderr


@pytest.mark.parametrize("arguments", [["seed=interval(1,2)"], ["--multirun", "seed=choice(1,2)"]])
def test_python_that_leaves_out_hydras_assertions_is_one_line(tmp_path, arguments) -> None:
    command = [sys.executable, "-O", "-m", "sweeper", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    line = f"{arguments[-1]}: cannot be used with python -O or PYTHONOPTIMIZE, "
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_grid_runs_every_combination(sweeper, tmp_path) -> None:
    quick = ["trainer=quick", "tracking=none", "figures=false"]
    done = sweeper(tmp_path, "--multirun", "model=cnn,mlp", "optimizer=sgd,adam", *quick)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("multirun/*/[0-9]/checkpoints/best.pt"))) == 4


def write_option(folder, text):
    (folder / "my_conf/model").mkdir(parents=True)
    (folder / "my_conf/model/mine.yaml").write_text(text)


def test_a_users_network_can_be_trained(sweeper, tmp_path) -> None:
    (tmp_path / "my_package.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, input_shape, num_classes, hidden):\n"
        "        pixels = input_shape[0] * input_shape[1] * input_shape[2]\n"
        "        layers = nn.Linear(pixels, hidden), nn.Linear(hidden, num_classes)\n"
        "        super().__init__(nn.Flatten(), *layers)\n"
    )
    write_option(tmp_path, "_target_: my_package.Net\nhidden: 16\n")
    quick = ["trainer=quick", "tracking=none", "figures=false"]
    done = sweeper(tmp_path, "--config-dir", "my_conf", "model=mine", "model.hidden=8", *quick)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_before_its_training_clears_up(tmp_path, number) -> None:
    """What is half written then is a copy of the data."""
    (tmp_path / "my_package.py").write_text(
        "import signal\nfrom pathlib import Path\n\n\n"
        "def net(input_shape, num_classes):\n"
        "    try:\n"
        "        print('my net', flush=True)\n"
        "        signal.pause()\n"
        "    finally:\n"
        "        Path(__file__).with_name('cleared').touch()\n"
    )
    write_option(tmp_path, "_target_: my_package.net\n")
    line = ["--config-dir", "my_conf", "model=mine", "tracking=none", "hydra.run.dir=run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*line), cwd=tmp_path, text=True, **pipes) as run:
        assert run.stdout is not None
        assert any("my net" in line for line in iter(run.stdout.readline, ""))
        run.send_signal(number)
        run.communicate()
    assert run.returncode == 128 + number
    assert (tmp_path / "cleared").exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_prints_the_command_to_resume(
    sweeper, tmp_path, number
) -> None:
    long = ["trainer.epochs=100000", "tracking=none", "figures=false", "hydra.run.dir=run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*long), cwd=tmp_path, text=True, **pipes) as run:
        assert run.stdout is not None
        assert any("1/100000" in line for line in iter(run.stdout.readline, ""))
        run.send_signal(number)
        rest = run.communicate()[1]
    assert run.returncode == 128 + number
    resume = rest.strip().splitlines()[-1].split()
    assert resume[:3] == ["python", "-m", "sweeper"]
    overrides = [o for o in resume[3:] if not o.startswith("trainer.epochs")]
    (epochs,) = re.findall(r"interrupted after epoch (\d+);", rest)
    done = sweeper(tmp_path, *overrides, f"trainer.epochs={epochs}", "hydra.run.dir=resumed")
    assert done.returncode == 0, done.stderr
    assert "resumed from" in done.stdout
