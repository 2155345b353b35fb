"""Train, sweep and compare PyTorch image classifiers.

    import sweeper

    run = sweeper.run("model=lenet", "trainer.epochs=3")
    study = sweeper.sweep("search=cnn", "hydra.sweeper.n_trials=20")

`import sweeper` loads nothing else: neither torch nor Optuna nor Hydra.
"""

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper import errors as errors
    from sweeper.api.best_trial import BestTrial as BestTrial
    from sweeper.api.run_result import RunResult as RunResult
    from sweeper.api.run_result import run as run
    from sweeper.api.study_result import Study as Study
    from sweeper.api.study_result import sweep as sweep

__all__ = ["BestTrial", "RunResult", "Study", "errors", "run", "sweep"]

_HOMES = {
    "BestTrial": "sweeper.api.best_trial",
    "RunResult": "sweeper.api.run_result",
    "Study": "sweeper.api.study_result",
    "run": "sweeper.api.run_result",
    "sweep": "sweeper.api.study_result",
}
"""The modules in which the public names are defined."""


class CallableRoom(ModuleType):
    """A folder of this package that has the name of a public function, and is that function too."""

    def __call__(self, *overrides: str, config_dir: str | Path | None = None) -> Any:
        """Call `sweeper.api.run_result.run` or `sweeper.api.study_result.sweep`; see there."""
        return self._function()(*overrides, config_dir=config_dir)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """What the function does: `help(sweeper.run)` shows it."""
        return str(self._function().__doc__)

    def _function(self) -> Any:
        return _public(self.__name__.rpartition(".")[2])


def _public(name: str) -> Any:
    """Return a public class or function; the random numbers of Python stay as they are."""
    before = random.getstate()  # Rich draws one when it is imported
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    finally:
        random.setstate(before)


def make_callable(room: str) -> None:
    """Make the module of this name a `CallableRoom`."""
    sys.modules[room].__class__ = CallableRoom


if not TYPE_CHECKING:  # a type checker reports names that do not exist, and would not with this

    def __getattr__(name: str) -> Any:
        if name in ("errors", "run", "sweep"):
            return importlib.import_module(f"sweeper.{name}")
        if name in _HOMES:
            return _public(name)
        raise AttributeError(f"module 'sweeper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
