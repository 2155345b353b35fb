"""Fixtures: a study in memory with its trials, and the override that an error says to type."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from optuna.storages import BaseStorage, InMemoryStorage

from sweeper.sweep.budget import Budget
from sweeper.sweep.claim import Claim
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.pausing import Pausing
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


@pytest.fixture
def reported(storage: BaseStorage) -> Callable[..., Claim]:
    """Return a function that claims a trial and reports its values; it returns the claim."""

    def report(ledger: Ledger, *values: float) -> Claim:
        claim = ledger.claim()
        assert claim is not None
        first = len(storage.get_trial(claim.trial_id).intermediate_values)
        for step, value in enumerate(values, start=first):
            storage.set_trial_intermediate_value(claim.trial_id, step, value)
        return claim

    return report


@pytest.fixture
def pause(reported: Callable[..., Claim]) -> Callable[..., Claim]:
    """Return a function that claims a trial, reports its values and pauses it."""

    def report_and_pause(ledger: Ledger, *values: float) -> Claim:
        claim = reported(ledger, *values)
        assert Pausing(ledger, claim).pauses()
        ledger.pause(claim)
        return claim

    return report_and_pause


@pytest.fixture
def pasted() -> Callable[[BaseException], Override]:
    """Return a function that reads the first override that an error says to type.

    A shell reads the words, then Hydra the first of them.
    """

    def read(error: BaseException) -> Override:
        word = shlex.split(str(error).partition("; type ")[2])[0].rstrip(",")
        return OverridesParser.create().parse_override(word)

    return read
