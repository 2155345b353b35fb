"""Many workers on one ledger, with and without a folder in common."""

import multiprocessing
import random
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.sweep.budget import SURPLUS, Budget
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import open_study

N_TRIALS, N_WORKERS = 30, 4


def work(journal, folder, seed):
    folder.mkdir(exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(str(journal), folder)
    ledger = Ledger(open_study("s", storage), storage, folder, Budget(N_TRIALS))
    chance = random.Random(seed)
    while (claim := ledger.claim()) is not None:
        luck = chance.random()
        if luck < 0.1:
            ledger.release(claim)
        elif luck < 0.3:
            ledger.finish(claim, TrialState.FAIL)
        else:
            ledger.finish(claim, TrialState.COMPLETE, [luck])


@pytest.mark.parametrize("shared", [True, False])
def test_the_budget_is_exact_whatever_the_workers_share(tmp_path, shared) -> None:
    journal = tmp_path / "study.log"
    study = optuna.create_study(study_name="s", storage=open_storage(str(journal), tmp_path))
    study.enqueue_trial({"x": 1})
    context = multiprocessing.get_context("spawn")
    folders = [tmp_path / ("all" if shared else str(i)) for i in range(N_WORKERS)]
    workers = [
        context.Process(target=work, args=(journal, folder, i)) for i, folder in enumerate(folders)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * N_WORKERS
    trials = study.get_trials()
    assert Counter(t.state for t in trials)[TrialState.COMPLETE] == N_TRIALS
    assert not (shared and any(t.user_attrs.get("failure") == SURPLUS for t in trials))
