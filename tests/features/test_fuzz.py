"""Commands with random arguments: each is accepted, or refused by one line on standard error.

The commands run in this process. An accepted one stops before it trains, tries or evaluates
anything.
"""

import contextlib
import io
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from sweeper.configs import CONFIGS
from sweeper.hydra_versions import COMPOSING

EXAMPLES = int(os.environ.get("SWEEPER_TEST_EXAMPLES", "40"))
"""The number of random commands. If it is set, they are others in each run."""


class Accepted(BaseException):
    """Ends a command that is about to work."""


@dataclass(frozen=True)
class Outcome:
    """The end of a command: its exit code, or None if it was accepted, and its output."""

    code: object
    stdout: str
    stderr: str


STOPS = (
    "sweeper.run.run.fit",
    "sweeper.launch.local.LocalPool.run",
    "sweeper.evaluate.predictions_of",
    "sweeper.predict._predictions",
)
"""The functions with which a command begins to work."""


def accept(*_: object, **__: object) -> None:
    raise Accepted


def typed(name: str, arguments: Sequence[str], folder: Path) -> Outcome:
    """Run `python -m NAME ARGUMENTS` in a folder until it is accepted or ends."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch.dict(os.environ))
        stack.enter_context(mock.patch.object(sys, "argv", [name, *arguments]))
        for stop in STOPS:
            stack.enter_context(mock.patch(stop, accept))
        stack.enter_context(own_logging())
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        try:
            commands()[name]()
        except Accepted:
            code = None
        except SystemExit as end:
            code = end.code or 0
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Undo what Hydra changes of the logging, and close its files."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


@cache
def commands() -> dict[str, Callable[[], None]]:
    """Return what `python -m NAME` calls."""
    from sweeper import app, evaluate, inspect, predict
    from sweeper.cli.arguments import run_tool

    return {
        "sweeper": app.main,
        "sweeper.inspect": inspect.main,
        "sweeper.evaluate": lambda: run_tool(evaluate.evaluate, evaluate.__doc__),
        "sweeper.predict": lambda: run_tool(predict.predict, predict.__doc__),
    }


def problems(outcome: Outcome, folder: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the end of a command.

    The check of a study's space may print a line for each point, which begins with the point.
    """
    if outcome.code in (None, 0):
        return []
    found = [] if outcome.code in (1, 2) else [f"exit code {outcome.code}"]
    lines = outcome.stderr.splitlines()
    are_points = "--multirun" in arguments and all(re.match(r"[\w.+~@/]+=", x) for x in lines)
    if not lines or not outcome.stderr.endswith("\n") or not all(line.strip() for line in lines):
        found.append("an empty line")
    if len(lines) > 1 and not are_points:
        found.append("several lines")
    if "Traceback" in outcome.stderr:
        found.append("a traceback")
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return [*found, f"left behind {left}"] if left else found


def refused_line(name: str, arguments: Sequence[str], folder: Path) -> str:
    """Run a command that must be refused; return its line."""
    outcome = typed(name, arguments, folder)
    assert outcome.code in (1, 2), outcome
    assert problems(outcome, folder) == [], outcome
    return outcome.stderr


# What is typed

CHOICES = (
    *([], ["model=lenet", "optimizer=sgd", "scheduler=plateau", "stopping=patience"]),
    *(["init=constant", "loss=triplet_margin", "scheduler=one_cycle"], ["data=image_folder"]),
)
WRITTEN_BY_HYDRA = ("hydra.help", "hydra.hydra_help", "hydra.runtime", "hydra.overrides")
# Whoever names the file of the log has it created.
NOT_DRAWN = ("hydra.job_logging.handlers.file.filename",)


@cache
def config_keys() -> list[str]:
    """Return every key of the composed config, Hydra's among them, for several choices."""
    found: dict[str, None] = {}
    for choices in CHOICES:
        with initialize_config_dir(str(CONFIGS), **COMPOSING):
            cfg = compose("config", choices, return_hydra_config=True)
        found |= dict.fromkeys(_paths(OmegaConf.to_container(cfg, resolve=False), ""))
    return [key for key in found if not key.startswith(WRITTEN_BY_HYDRA) and key not in NOT_DRAWN]


def _paths(node: Any, prefix: str) -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")


FOLDERS = sorted(path for path in CONFIGS.iterdir() if path.is_dir())
GROUPS = (
    *(path.name for path in FOLDERS),
    *("hydra/launcher", "hydra/sweeper", "hydra/sweeper/sampler", "hydra/sweeper/pruner"),
    *("hydra/job_logging", "hydra/hydra_logging", "hydra/callbacks", "hydra/env", "hydra/output"),
)
OPTIONS = (
    *sorted({p.stem for folder in FOLDERS for p in folder.glob("*.yaml")} - {"mlflow", "all"}),
    *("local", "default", "sweeper", "random", "tpe"),
)
HYDRA_KEYS = (
    *("verbose", "run.dir", "sweep.dir", "sweep.subdir", "output_subdir", "mode", "searchpath"),
    *("launcher", "launcher.n_jobs", "launcher._target_", "callbacks", "job", "run"),
    *("job.name", "job.chdir", "job.env_set", "job.env_copy", "job_logging", "hydra_logging"),
    *("sweeper", "sweeper._target_", "sweeper.sampler", "sweeper.sampler.seed", "sweeper.pruner"),
    *("sweeper.direction", "sweeper.storage", "sweeper.study_name", "sweeper.study"),
    *("sweeper.n_trials", "sweeper.timeout", "sweeper.n_jobs", "sweeper.max_failure_rate"),
    *("sweeper.max_retries", "sweeper.lease_seconds", "sweeper.params", "sweeper.auto"),
    *("sweeper.custom_search_space", "sweeper.warm_start", "sweeper.enqueue"),
    *("sweeper.constraints", "sweeper.check", "sweeper.verify", "sweeper.observers"),
)
VALUES = (
    *("null", "true", "false", "nan", "inf", "-inf", "0", "1", "-1", "1.5", "1e400", "1e-320"),
    *("99999999999999999999999", "-5", "", "''", '""', "' '", "'a b'", "foo", "é", "'\u202e'"),
    *("[]", "[[]]", "[1]", "[a,b]", "[1,[2,[3]]]", "[null]", "{}", "{a: 1}", "{a: {b: [1]}}"),
    *("{a: null}", "{1: 2}", "${seed}", "${nope}", "${nope:1}", "${oc.env:NOPE}", "${", "???"),
    *("'${model}'", "'${hydra:job.num}'", "${now:%Y}", "1,2", "a,b", "1,1", "[1,2],[3,4]"),
    *("choice(1,2)", "choice()", "range(1,3)", "range(3,1)", "range(0,1,0)", "range(0,1e300)"),
    *("interval(0,1)", "interval(1,0)", "interval(a,b)", "interval(0,inf)", "shuffle(1,2)"),
    *("tag(log,interval(0,1))", "int(1.5)", "float(x)", "glob(*)", "sort(3,1)", "extend_list(1)"),
    *("/tmp/x", "a/b", "../x", ".", "..", "/dev/null", "/dev/null/x", "C:\\x", "a" * 300),
    *("10s", "-3min", "sqlite:///nope/x.db", "foo://x", "/dev/null/x.log", "cuda:9", "fresh"),
    *("builtins.print", "os.getcwd", "no.such", "{_target_: no.such}", "[{_target_: no.such}]"),
    *("'\x07'", "'\x1b[2J'", "'a\nb'", "a=b", "=", ",", "@", "\\", "'", "[" * 60, "val/loss"),
)


@st.composite
def keys(draw: st.DrawFn) -> str:
    """Return the name of a key or a group, or one that is nearly right."""
    every_key = st.deferred(lambda: st.sampled_from(config_keys()))
    hydra_key = st.sampled_from([f"hydra.{key}" for key in HYDRA_KEYS])
    key = draw(st.one_of(every_key, every_key, hydra_key, st.sampled_from(GROUPS)))
    if draw(st.integers(0, 9)):
        return key
    at = draw(st.integers(0, len(key)))
    endings = (".x", ".", "@x", "@", "@_global_", "@model", "[0]", ".0")
    changed = (key[:at] + key[at + 1 :], key.replace(".", "/"), key.replace("/", "."), key.upper())
    return draw(st.sampled_from([*changed, *(key + ending for ending in endings)]))


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """Return an override, most often one that replaces a value."""
    prefix = draw(st.sampled_from([*[""] * 8, "+", "++", "~"]))
    key = draw(keys())
    if prefix == "~" and draw(st.booleans()):
        return prefix + key
    listed, option = st.sampled_from(VALUES), st.sampled_from(OPTIONS)
    number = st.one_of(st.floats(), st.integers()).map(str)
    value = draw(st.one_of(listed, listed, listed, option, number, st.text(max_size=8)))
    return f"{prefix}{key}={value}"


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a command with one to three overrides, and its arguments."""
    commands = [("sweeper", []), ("sweeper", ["--multirun"]), ("sweeper.inspect", [])]
    name, flags = draw(st.sampled_from(commands))
    drawn = draw(st.lists(overrides(), min_size=1, max_size=3))
    return name, [*flags, "tracking=none", *drawn]


TOOL_KEYS = (
    *("checkpoint", "split", "folder", "out", "trust", "top", "grid", "chekpoint", "model.width"),
    *("trainer.device", "trainer.precision", "data.batch_size", "data._target_", "data.mean"),
    *("data.val_fraction", "data.eval_transform", "model.channels", "optimizer.lr.x", "a.b", "x."),
)


@st.composite
def tool_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return `evaluate` or `predict`, and its arguments apart from checkpoint and image."""
    name = draw(st.sampled_from(["sweeper.evaluate", "sweeper.predict"]))
    key, value = st.sampled_from(TOOL_KEYS), st.sampled_from([*VALUES, "[}", '"', "{a: 1"])
    setting = st.builds("{}={}".format, key, value)
    other = st.one_of(st.text(max_size=6), st.sampled_from(["--json", "--foo", "-x", "nope.png"]))
    drawn = draw(st.lists(st.one_of(setting, setting, setting, other), min_size=1, max_size=2))
    return name, [argument for argument in drawn if argument not in ("-h", "--help")]


@pytest.fixture(scope="module")
def arena() -> Iterator[Path]:
    """An empty folder of the module; an example works in a folder of its own in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def empty_folder(arena: Path) -> Iterator[Path]:
    folder = arena / "example"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.filterwarnings("default")  # a warning does not refuse a command
@settings(max_examples=EXAMPLES)
@given(line=command_lines())
def test_a_random_command_is_accepted_or_refused_in_one_line(line, arena) -> None:
    name, arguments = line
    with empty_folder(arena) as folder:
        outcome = typed(name, arguments, folder)
        assert problems(outcome, folder, arguments) == [], outcome.stderr


# Whole classes of wrong input that a random command has found, with the beginning of the line.
REFUSED = (
    # a value of the wrong type in the root of the config, or of a group
    ("study={a: 1}", "study={'a': 1}: expected 'resume', 'fresh' or 'compare'"),
    ("seed=[1]", "seed=[1]: expected a valid integer"),
    ("init=[[]]", "tracking=none init=[[]]: cannot be used: TypeError"),
    ("init=[]", "init is missing: type init=NAME"),
    ("optimizer=3", "optimizer=3: there is no such option; choose one of optimizer="),
    ("trainer.threads=99999", "trainer.threads=99999: expected a value less than"),
    # a key or a group that is removed
    ("~stopping", "~stopping: every experiment has an option of stopping; type stopping=none"),
    ("~seed", "seed has no value: type seed=VALUE"),
    ("~trainer.epochs", "trainer.epochs has no value: type trainer.epochs=VALUE"),
    ("~hydra.job.name", "~hydra.job.name: JobConf"),
    # an interpolation that fails
    ("optimizer.lr=${nope}", "optimizer.lr: Interpolation key 'nope' not found"),
    ("seed=${seed}", "seed: Recursive interpolation"),
    ("+foo=${nope:1}", "foo: Unsupported interpolation type nope"),
    ("model.search.channels=${oc.env:NOPE}", "model.search.channels: KeyError"),
    ("hydra.run.dir=a/${nope}", "hydra.run.dir: Interpolation key 'nope' not found"),
    # a value that nothing can parse
    ("optimizer.lr=a=b", "optimizer.lr=a=b: mismatched input '='"),
    ("optimizer.lr='a\nb'", "optimizer.lr: its value has a line break"),
    ("optimizer.lr=" + "[" * 60, "optimizer.lr: its value has more than 40 levels"),
    ("optimizer.lr=" + "a" * 20_000, "optimizer.lr: its value is longer than 10000"),
    # Hydra's own keys, before Hydra has written anything
    ("hydra.verbose=nan", "hydra.verbose=nan: must be true, false"),
    ("hydra.run.dir=[1]", "hydra.run.dir=[1]: must be the path of a folder"),
    ("hydra.run.dir=/dev/null/x", "hydra.run.dir=/dev/null/x: Not a directory"),
    ("hydra.run.dir=a/" + "b" * 300, "hydra.run.dir=a/bbb"),
    ("hydra.job={name: a/b}", "hydra.job={name: a/b}: hydra.job.name must be the name of a file"),
    ("hydra.job.env_set={A: null}", "hydra.job.env_set={A: null}: must map"),
    ("hydra.job.env_copy=[NOPE]", "hydra.job.env_copy=[NOPE]: names NOPE"),
    ("hydra.output_subdir=/dev/null", "hydra.output_subdir=/dev/null: must"),
    ("hydra.searchpath=[nope]", "hydra.searchpath=[nope]: names nope"),
    ("hydra.callbacks={a: 1}", "hydra.callbacks={a: 1}: must map names"),
    ("hydra.job_logging=foo", "hydra.job_logging=foo: is a group of keys"),
    ("hydra/job_logging=[[]]", "hydra/job_logging=[[]]: must be the name of an option"),
    ("hydra.job_logging.version=5", "tracking=none hydra.job_logging.version=5: cannot be used"),
    ("hydra.job.name=${nope}", "tracking=none hydra.job.name=${nope}: hydra.job_logging"),
    ("hydra.help=3", "hydra.help=3: Invalid type assigned"),
)
REFUSED_IN_A_STUDY = (
    ("hydra.sweeper.storage=1.5", "hydra.sweeper.storage=1.5: must be the URL of a database"),
    ("hydra.sweeper.storage=sqlite:///nope/x.db", "hydra.sweeper.storage=sqlite:///nope/x.db"),
    ("hydra.sweeper.storage=/dev/null/x.log", "hydra.sweeper.storage=/dev/null/x.log: must be"),
    ("hydra.sweeper.sampler=foo", "hydra.sweeper.sampler=foo: is a group"),
    ("hydra.sweeper.sampler.seed=foo", "hydra.sweeper.sampler.seed=foo: expected a valid integer"),
    ("hydra.sweeper.params={a: 1}", "Could not override 'a'. To append to your config use +a=1"),
    ("hydra.sweeper.params=[1]", "hydra.sweeper.params=[1]: must be a mapping of keys to sweeps"),
    ("hydra.sweeper.verify=no.such", "hydra.sweeper.verify=no.such: must be the import path"),
    ("hydra.sweeper.custom_search_space=os.sep", "hydra.sweeper.custom_search_space=os.sep: must"),
    ("hydra.launcher=foo", "hydra.launcher=foo: is a group of keys"),
    ("hydra.launcher._target_=os.getcwd", "hydra.launcher._target_=os.getcwd: is no plugin"),
    ("hydra.launcher.n_jobs=foo", "hydra.launcher.n_jobs=foo: must be auto or a number"),
    ("hydra.sweep.dir=null", "hydra.sweep.dir=null: must be the path"),
    ("metric=5", "tracking=none metric=5: TypeError raised while resolving interpolation"),
    ("optimizer.lr=range(0,1,0)", "optimizer.lr=range(0,1,0): needs finite bounds and a step"),
    ("trainer.epochs=range(1,1e9)", "trainer.epochs=range(1,1e9): has more than 100,000 values"),
    ("optimizer.lr=interval(0,inf)", "optimizer.lr=interval(0,inf): needs finite bounds"),
    ("model=1,2", "model=1: there is no such option; choose one of model=alexnet"),
    ("optimizer.lr=nan,0.1", "tracking=none optimizer.lr=nan: optimizer.lr=nan: expected a value"),
)


@pytest.mark.parametrize(("override", "line"), REFUSED)
def test_an_override_of_a_run_is_refused_in_one_line(override, line, tmp_path) -> None:
    assert refused_line("sweeper", ["tracking=none", override], tmp_path).startswith(line)


@pytest.mark.parametrize(("override", "line"), REFUSED_IN_A_STUDY)
def test_an_override_of_a_study_is_refused_in_one_line(override, line, tmp_path) -> None:
    arguments = ["--multirun", "tracking=none", override]
    assert refused_line("sweeper", arguments, tmp_path).startswith(line)


@pytest.mark.parametrize(
    ("name", "flag", "line"),
    [
        ("sweeper", "--foo", "--foo: there is no such flag; type KEY=VALUE"),
        ("sweeper", "--cfg=foo", "argument --cfg/-c: invalid choice: 'foo'"),
        ("sweeper.inspect", "--foo", "--foo: there is no such flag; type KEY=VALUE"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line_with_exit_code_2(name, flag, line, tmp_path) -> None:
    outcome = typed(name, [flag, "tracking=none"], tmp_path)
    assert (outcome.code, problems(outcome, tmp_path)) == (2, [])
    assert outcome.stderr.startswith(line)


def test_a_reason_that_all_points_of_a_study_share_is_printed_once(tmp_path) -> None:
    arguments = ["--multirun", "tracking=none", "optimizer.lr=0.1,0.2", "trainer.clip_norm=-1"]
    line = refused_line("sweeper", arguments, tmp_path)
    reason = "expected a value greater than 0 (at each point of the search space)"
    assert line == f"trainer.clip_norm=-1: {reason}\n"


def test_a_refused_run_leaves_no_new_folder_and_every_old_one(tmp_path) -> None:
    (tmp_path / "old").mkdir()
    for override in ("optimizer.lr=-1", "hydra.job_logging.version=5"):
        for folder in ("new/a", "old/a"):
            arguments = ["tracking=none", override, f"hydra.run.dir={folder}"]
            assert typed("sweeper", arguments, tmp_path).code == 1
            assert [path.name for path in tmp_path.rglob("*")] == ["old"]


@pytest.mark.parametrize(
    ("stop", "flags"),
    [("sweeper.run.run.fit", []), ("sweeper.launch.local.LocalPool._serve", ["--multirun"])],
)
def test_a_bug_in_our_own_work_shows_its_traceback(stop, flags, tmp_path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(sys.modules[__name__], "STOPS", ())
    monkeypatch.setattr(stop, fail)
    outcome = typed("sweeper", [*flags, "tracking=none", "seed=1"], tmp_path)
    assert outcome.code == 1
    assert "Traceback" in outcome.stderr
    assert outcome.stderr.endswith("TypeError: a bug\n")


def test_hydra_full_error_shows_the_traceback_of_any_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sweeper.cli.messages.WANTS_TRACEBACK", True)
    outcome = typed("sweeper", ["tracking=none", "init=[[]]"], tmp_path)
    assert "Traceback" in outcome.stderr


@pytest.fixture(scope="module")
def trained(arena) -> tuple[str, str]:
    """The arguments that name the checkpoint of a short training, and an image."""
    image = arena / "image.png"
    Image.new("L", (8, 8)).save(image)
    run = [f"hydra.run.dir={arena}/run", "trainer=quick", "tracking=none", "figures=false"]
    argv = ["sweeper", *run, "trainer.epochs=1"]
    with mock.patch.object(sys, "argv", argv), own_logging():
        commands()["sweeper"]()
    return f"checkpoint={arena}/run/checkpoints/best.pt", str(image)


@pytest.mark.filterwarnings("default")
@settings(max_examples=EXAMPLES)
@given(line=tool_lines())
def test_a_random_use_of_a_checkpoint_is_accepted_or_refused_in_one_line(
    line, trained, arena
) -> None:
    name, arguments = line
    checkpoint, image = trained
    base = [checkpoint] if name == "sweeper.evaluate" else [checkpoint, image]
    with empty_folder(arena) as folder:
        outcome = typed(name, [*base, *arguments], folder)
        assert problems(outcome, folder) == [], outcome.stderr


@pytest.mark.parametrize(
    ("name", "argument", "line"),
    [
        ("sweeper.evaluate", "trainer.device={a: 1", "trainer.device={a: 1: the value cannot be"),
        ("sweeper.evaluate", "out=/dev/null/x", "out=/dev/null/x: Not a directory"),
        ("sweeper.evaluate", "checkpoint=" + "a" * 300, "checkpoint="),
        ("sweeper.predict", "grid=nope/x.png", "grid=nope/x.png cannot be written (there is no"),
        ("sweeper.predict", "grid=.", "grid=. cannot be written (it is not the name"),
    ],
)
def test_a_wrong_use_of_a_checkpoint_is_refused_in_one_line(
    name, argument, line, trained, tmp_path
) -> None:
    checkpoint, image = trained
    base = [checkpoint] if name == "sweeper.evaluate" else [checkpoint, image]
    refused = refused_line(name, [*base, argument], tmp_path)
    assert refused.startswith(line)
    assert "hydra.run.dir" not in refused
