"""Calls leave the process as it was, in one that has loaded nothing before too."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

import sweeper
from sweeper.training.torch_settings import configure_torch

CALL = """
import random
import numpy
import sweeper

random.seed(1), numpy.random.seed(1)
before = random.getstate(), numpy.random.get_state()[1].tolist()
small = ("model=mlp", "tracking=none", "figures=false", "trainer.epochs=1",
         "trainer.train_limit=64", "trainer.val_limit=32")
{call}
assert (random.getstate(), numpy.random.get_state()[1].tolist()) == before
import torch
assert torch.initial_seed() != 0, "the seed of the trials"
assert torch.get_float32_matmul_precision() == "highest"
{after}
print("untouched")
"""
RUN = "sweeper.run(*small)"
STUDY = """
study = sweeper.sweep(
    *small, "hydra/launcher=basic", "optimizer.lr=0.1,0.01", "metric=[val/accuracy,val/loss]",
    "direction=[maximize,minimize]", "hydra.sweeper.best=knee",
)
"""
LOADED = """
assert sweeper.Study.load(study.folder).best == study.best
assert len(study.trials) == 2
"""


@pytest.mark.parametrize(("call", "after"), [(RUN, ""), (STUDY, LOADED)], ids=["run", "study"])
def test_a_call_that_loads_torch_leaves_random_numbers_as_they_were(tmp_path, call, after) -> None:
    done = subprocess.run(
        [sys.executable, "-"], input=CALL.format(call=call, after=after), cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.endswith("untouched\n")


BY_BACKEND = """
import torch
torch.backends.cuda.matmul.fp32_precision = "tf32"
import sweeper
sweeper.run("model=mlp", "tracking=none", "figures=false", "trainer.epochs=1",
            "trainer.train_limit=64", "trainer.val_limit=32")
assert torch.backends.cuda.matmul.fp32_precision == "tf32"
assert torch.backends.mkldnn.matmul.fp32_precision == "none"
"""


def test_a_precision_that_the_caller_has_set_for_a_backend_stays(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-"], input=BY_BACKEND, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout


def torch_settings() -> tuple[bool, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_anomaly_enabled(),
        torch.is_anomaly_check_nan_enabled(),
    )


@pytest.fixture
def _default_settings() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)


@pytest.mark.usefixtures("_default_settings")
@pytest.mark.parametrize("asked", ["true", "false"])
def test_a_call_restores_what_torch_only_warns_of(tmp_path, monkeypatch, asked) -> None:
    monkeypatch.chdir(tmp_path)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.autograd.set_detect_anomaly(True, check_nan=False)
    during: list[tuple[bool, ...]] = []

    def configured(trainer) -> None:
        configure_torch(trainer)
        during.append(torch_settings())

    monkeypatch.setattr("sweeper.build.recipe.configure_torch", configured)
    small = ("model=mlp", "tracking=none", "figures=false", "trainer.epochs=1")
    sweeper.run(*small, "trainer.train_limit=64", f"trainer.deterministic={asked}")
    assert during == [(asked == "true", False, False, True)]
    assert torch_settings() == (True, True, True, False)


SETTERS = {
    "gradients": lambda: torch.set_grad_enabled(False),
    "type": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
}


@pytest.fixture
def _default_modes() -> Iterator[None]:
    yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def modes() -> tuple[object, ...]:
    return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()


def losses() -> list[float]:
    small = ("model=mlp", "tracking=none", "figures=false", "trainer.epochs=2")
    return [e["train/loss"] for e in sweeper.run(*small, "trainer.train_limit=64").history]


@pytest.mark.usefixtures("_default_modes")
@pytest.mark.parametrize("setter", SETTERS.values(), ids=SETTERS)
def test_a_run_does_not_depend_on_the_modes_of_torch_that_the_caller_has_set(
    tmp_path, monkeypatch, setter
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = losses()
    setter()
    before = modes()
    assert losses() == expected
    assert modes() == before


def test_a_run_may_be_called_in_contexts_of_torch(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = losses()
    with torch.inference_mode(), torch.device("meta"):
        assert losses() == expected
        assert torch.is_inference_mode_enabled()
        assert torch.empty(1).is_meta
