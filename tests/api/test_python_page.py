"""The example of docs/python.md, run as it is printed, in a Python that reads it from its input."""

import re
import subprocess
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/python.md").read_text(encoding="utf-8")
# The same calls, with less work in each.
LESS = """
from sweeper.api import run_result, study_result

QUICK = ("trainer.train_limit=64", "trainer.val_limit=32", "trainer.epochs=2")
TRIALS = ("hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1")
_run, _sweep = run_result.run, study_result.sweep
run_result.run = lambda *overrides, **options: _run(*overrides, *QUICK, **options)
study_result.sweep = lambda *overrides, **options: _sweep(*overrides, *QUICK, *TRIALS, **options)
"""
CHECKS = """
import optuna
assert run.checkpoint.is_file() and run.figures["learning_curves"].is_file()
assert len(run.epochs) == 2
assert len(study.trials) == len(study.optuna.trials) == 2
again = sweeper.sweep("search=cnn", "hydra.sweeper.n_trials=20")
assert again.trials.equals(study.trials), "the same call runs nothing new"
assert sweeper.Study.load(study.folder).front == study.front
optuna.visualization.matplotlib.plot_contour(study.optuna)
assert best.config.model.kernel_size == study.best.params["model.kernel_size"]
print("as the page says")
"""


def test_the_example_of_the_page_runs_from_a_prompt(python, tmp_path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [python, "-"], input=LESS + example + CHECKS, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("as the page says\n")
