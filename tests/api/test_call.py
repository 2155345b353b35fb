"""Runs from Python in this process: their results, their errors, and what they leave alone."""

import contextlib
import errno
import logging
import os
import random
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from traceback import format_exception

import numpy as np
import optuna
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import sweeper
from study_side import StudySide
from sweeper import trial
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError, DataError, SweeperError, TrainingError
from sweeper.locks import ARE_BESIDE, locked

QUICK = ("trainer=quick", "trainer.epochs=1", "trainer.train_limit=64", "trainer.val_limit=32",
         "model=mlp", "tracking=none", "figures=false")  # fmt: skip
PASSWORD = "Xq7zebra8"
SECRET = f"hydra.sweeper.storage=postgresql://me:{PASSWORD}@localhost:1/x"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_returns_what_the_command_records() -> None:
    run = sweeper.run(*QUICK, "figures=true", "optimizer.lr=0.01")
    assert (
        run.value == run.metrics["val/accuracy"] == run.history[run.best_epoch - 1]["val/accuracy"]
    )
    assert {"test/accuracy", "test/loss", "val/loss", "n_parameters"} <= run.metrics.keys()
    assert run.checkpoint == run.folder / "checkpoints/best.pt"
    assert run.figures["confusion_matrix"].is_file()
    assert run.config.optimizer.lr == 0.01
    assert run.epochs.loc[1, "val/accuracy"] == run.value
    for name in (".hydra/overrides.yaml", "config.yaml", "sweeper.log"):
        assert (run.folder / name).is_file()
    again = sweeper.run(*QUICK, f"hydra.run.dir={run.folder}")
    assert not again.figures  # those in the folder are of another run


def test_a_second_run_in_a_folder_is_refused_while_the_first_one_writes_there(
    tmp_path, refuses
) -> None:
    folder = tmp_path / "run"
    first = sweeper.run(*QUICK, f"hydra.run.dir={folder}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    before = [path.stat().st_mtime_ns for path in files]
    with locked(folder), refuses(ConfigError, r"^hydra\.run\.dir=\S+: another run is writing to"):
        sweeper.run(*QUICK, f"hydra.run.dir={folder}")
    assert [path.stat().st_mtime_ns for path in files] == before
    assert sweeper.run(*QUICK, f"hydra.run.dir={folder}").value == first.value


@pytest.mark.skipif(ARE_BESIDE, reason="this system has no flock")
def test_a_folder_that_cannot_be_locked_is_used_all_the_same(monkeypatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert sweeper.run(*QUICK).checkpoint.is_file()


@pytest.mark.parametrize(
    ("overrides", "error", "line"),
    [
        (["model=alexnte"], ConfigError, "model=alexnte: there is no such option; type"),
        (["model.kernel_sise=3"], ConfigError, "type model.kernel_size=3"),
        (["optimizer.lr=-1"], ConfigError, "optimizer.lr=-1: expected a value greater than 0"),
        (["optimizer.lr=0.1,0.2"], ConfigError, "call sweeper.sweep with optimizer.lr=0.1,0.2"),
        (["optimizer.lr=[0.1,0.2]"], ConfigError, ", call sweeper.sweep with optimizer.lr=0.1,0.2"),
        (["optimizer.lr=log(1,2)"], ConfigError, "call sweeper.sweep with 'optimizer.lr=tag(log"),
        (["sweep"], ConfigError, "sweep: call sweeper.sweep to start a study"),
        (["abc"], ConfigError, "KEY=VALUE; python -m sweeper --help shows the groups"),
        (["lenet"], ConfigError, "lenet: "),
        ([""], ConfigError, "'': an argument is empty; leave it out"),
        (["--cfg"], ConfigError, "--cfg: flags are for the command line"),
        (["hydra.mode=MULTIRUN"], ConfigError, "call sweeper.run or sweeper.sweep"),
        ([["model=mlp"]], ConfigError, "an override must be a text"),
        (["data=image_folder", "data.root=no"], DataError, "no is not a folder"),
        (["resume=nothing.pt"], SweeperError, "No checkpoint at nothing.pt"),
    ],
)
def test_a_mistake_is_an_error_of_one_line_and_leaves_nothing(
    refuses, tmp_path, capfd, overrides, error, line
) -> None:
    with refuses(error, ".") as caught:
        sweeper.run(*overrides)
    assert line in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_beside_options_of_ones_own_is_explained_with_them(tmp_path, refuses) -> None:
    (tmp_path / "mine/model").mkdir(parents=True)
    own = "_target_: sweeper.models.MLP\nhidden: [8]\nblocks: 3\n"
    (tmp_path / "mine/model/own.yaml").write_text(own)
    with refuses(ConfigError, "model.bloks=3: model=own has no key bloks; type model.blocks=3"):
        sweeper.run("model=own", "model.bloks=3", config_dir="mine")


def test_a_list_in_a_study_is_explained_without_a_flag(refuses) -> None:
    with refuses(ConfigError, "optimizer.lr=.*try one value after another, type optimizer.lr=1,2"):
        sweeper.sweep("optimizer.lr=[1,2]", *QUICK)


def test_a_study_of_another_sweeper_or_of_the_notebooks_own_classes_is_refused(refuses) -> None:
    with refuses(ConfigError, "needs hydra/sweeper=sweeper"):
        sweeper.sweep("hydra/sweeper=basic", "model=mlp,cnn")
    with refuses(ConfigError, "move it to a module"):
        sweeper.sweep("+callbacks.mine._target_=__main__.Mine", "model=mlp,cnn")
    with refuses(ConfigError, "there is no such folder"):
        sweeper.sweep("model=mlp,cnn", config_dir="nowhere")


def test_an_error_while_training_is_a_training_error() -> None:
    with pytest.raises(TrainingError, match="became nan"):
        sweeper.run(*QUICK, "optimizer=sgd", "optimizer.lr=1e30", "trainer.epochs=3")


def test_an_error_in_the_callers_own_code_is_raised_as_it_is(monkeypatch) -> None:
    from sweeper.training.callback import Callback

    def fail(self, state) -> None:
        raise KeyError("mine")

    monkeypatch.setattr(
        sys.modules["__main__"],
        "Mine",
        type("Mine", (Callback,), {"on_fit_end": fail}),
        raising=False,
    )
    with pytest.raises(KeyError, match="mine"):
        sweeper.run(*QUICK, "+callbacks.mine._target_=__main__.Mine")


def state_of_the_process() -> dict[str, object]:
    root = logging.getLogger()
    return {
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "arguments": list(sys.argv),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "handlers": list(root.handlers),
        "levels": (root.level, logging.getLogger("sweeper").level),
        "numbers": (random.getstate(), torch.get_rng_state().tolist()),
        "numpy": np.random.get_state()[1].tolist(),
        "threads": torch.get_num_threads(),
        "hydra": (GlobalHydra.instance(), HydraConfig.instance(), HydraConfig.instance().cfg),
    }


IN_THIS_PROCESS = ("hydra/launcher=basic", "optimizer.lr=0.1,0.01")


@pytest.mark.parametrize(
    ("call", "overrides", "refused"),
    [
        (sweeper.run, (), False),
        (sweeper.run, ("optimizer.lr=-1",), True),
        (sweeper.run, ("model=alexnte",), True),
        (sweeper.sweep, (*IN_THIS_PROCESS, "hydra.sweeper.storage=null"), False),
        (sweeper.sweep, (*IN_THIS_PROCESS, "model=alexnte"), True),
    ],
)
def test_a_call_leaves_the_process_as_it_was(call, overrides, refused) -> None:
    torch.manual_seed(7)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        before = state_of_the_process()
        with pytest.raises(ConfigError) if refused else contextlib.nullcontext():
            call(*QUICK, "hydra.verbose=true", "hydra.job.chdir=true", SECRET, *overrides)
        assert state_of_the_process() == before
        assert compose("config", ["model=lenet"]).model.kernel_size


def test_a_log_file_of_the_caller_gets_records_after_a_call(tmp_path) -> None:
    handler, log = logging.FileHandler(tmp_path / "mine.log", mode="w"), logging.getLogger("mine")
    log.addHandler(handler)
    sweeper.run(*QUICK)
    log.warning("after the run")
    log.removeHandler(handler)
    handler.close()
    assert (tmp_path / "mine.log").read_text() == "after the run\n"


@pytest.mark.parametrize("disabled", [True, False])
def test_a_logger_of_the_caller_is_disabled_afterwards_if_it_was_before(disabled) -> None:
    log = logging.getLogger(f"mine.{disabled}")
    log.disabled = disabled
    disables = f"hydra.job_logging.disable_existing_loggers={not disabled}"
    sweeper.run(*QUICK, disables)
    assert log.disabled == disabled


def test_resolvers_of_the_caller_stay_as_they_were() -> None:
    names = ("first_of", "directions")
    for name in names:
        OmegaConf.register_new_resolver(name, lambda *_: "mine")
    try:
        sweeper.run(*QUICK)
        sweeper.sweep(*QUICK, *IN_THIS_PROCESS)
        for name in names:
            assert OmegaConf.create({"key": f"${{{name}:1,2}}"}).key == "mine"
    finally:
        for name in names:
            OmegaConf.clear_resolver(name)


@pytest.mark.parametrize("reason", ["pruned", "paused", "infeasible"])
def test_a_run_that_its_study_ends_within_the_first_epoch_ends_the_task_too(
    tmp_path, reason
) -> None:
    side = StudySide(tmp_path / "trial", stop_after=0, reason=reason)
    with trial.reported_by(side), pytest.raises(optuna.TrialPruned, match=reason):
        sweeper.run(*QUICK)


def test_a_run_that_its_study_ends_later_returns_what_it_has(tmp_path) -> None:
    with trial.reported_by(StudySide(tmp_path / "trial", stop_after=1)):
        assert len(sweeper.run(*QUICK, "trainer.epochs=3").history) == 1


def test_a_password_is_in_no_file_and_in_no_error(tmp_path) -> None:
    sweeper.run(*QUICK, SECRET)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    with pytest.raises(ConfigError, match=r"me:\*\*\*@") as caught:
        sweeper.run(*QUICK, f"{SECRET},b")
    assert PASSWORD not in "".join(format_exception(caught.value))


def test_a_run_works_outside_the_main_thread() -> None:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(sweeper.run(*QUICK)))
    thread.start()
    thread.join()
    assert isinstance(results[0], sweeper.RunResult)


def test_calls_in_several_threads_run_one_after_another() -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda seed: sweeper.run(*QUICK, f"seed={seed}"), range(3)))
    assert [run.config.seed for run in runs] == [0, 1, 2]
    assert len({run.folder for run in runs}) == 3


@pytest.mark.parametrize(
    ("group", "head", "override"),
    [
        ("model", "defaults: [mlp]", "model=small"),
        ("model/parts", "# @package model", "+model/parts=small"),
    ],
)
def test_an_option_of_the_callers_own_folder_is_found(tmp_path, group, head, override) -> None:
    folder = tmp_path / "runs/seed=1" / group
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(f"{head}\nhidden: [8]\n")
    run = sweeper.run(*QUICK, override, config_dir="runs/seed=1")
    assert run.config.model.hidden == [8]


def test_a_run_with_a_search_says_which_call_starts_a_study() -> None:
    run = sweeper.run(*QUICK, "search=cnn")
    line = "search=cnn: nothing is searched in a single run; call sweeper.sweep to start a study"
    assert line in (run.folder / "sweeper.log").read_text()
