"""Calls in a process that has loaded nothing before."""

import subprocess
import sys

import pytest

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
