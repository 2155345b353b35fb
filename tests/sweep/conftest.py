"""Fixtures: a study in memory, and its ledger."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from sweeper.sweep.budget import Budget
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.study import open_study


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


@pytest.fixture
def make_ledger(storage: BaseStorage, tmp_path: Path) -> Callable[..., Ledger]:
    optuna.create_study(study_name="s", storage=storage)

    def make(n_trials: int | None = 2, grid: Sequence[Any] = (), **keys: Any) -> Ledger:
        budget = Budget(n_trials, **keys)
        return Ledger(open_study("s", storage), storage, tmp_path, budget, grid)

    return make
