from types import SimpleNamespace

import optuna
from optuna.trial import create_trial

from sweeper.sweep.budget import Budget
from sweeper.sweep.storage import open_storage
from sweeper.sweep.work import Search


def test_the_trials_of_a_search_are_those_of_now_though_the_storage_keeps_earlier_reads(
    tmp_path,
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    storage = open_storage(url, tmp_path)
    study = optuna.create_study(study_name="s", storage=storage)
    search = Search(
        SimpleNamespace(name="s", folder=tmp_path, budget=Budget(2), command=""), storage
    )
    assert search.trials() == []
    elsewhere = open_storage(url, tmp_path)
    elsewhere.create_new_trial(study._study_id, create_trial(value=1.0))
    assert [trial.value for trial in search.trials()] == [1.0]
