"""The process that keeps a study's MLflow run."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

from sweeper.sweep.mlflow_study import MLflowStudy
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.recorder import OBSERVER, Recorder, recorded, start_recorder
from sweeper.tracking import tags
from sweeper.tracking.courier import VARIABLE

N_TRIALS = 12
LOGS = OmegaConf.create({"version": 1, "root": {"level": "WARNING"}}), False


@pytest.fixture
def info(tmp_path) -> StudyInfo:
    folder = tmp_path / "multirun" / "s"
    folder.mkdir(parents=True)
    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    for x in np.linspace(0, 1, N_TRIALS):
        values = {"params": {"x": x}, "distributions": {"x": FloatDistribution(0, 1)}}
        study.add_trial(create_trial(value=x, **values))
    return StudyInfo("s", folder, ("maximize",), {}, {"data": "d"}, 1, storage)


@pytest.fixture
def observer(tmp_path) -> MLflowStudy:
    return MLflowStudy("val/accuracy", f"sqlite:///{tmp_path}/mlflow.db", folder=tmp_path)


def parent_runs(tmp_path: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("d").experiment_id])
    return [run for run in runs if tags.is_study(run.data.tags)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dies", [False, True])
def test_a_study_is_recorded_in_another_process_while_that_lives(
    tmp_path, info, observer, monkeypatch, capfd, dies
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    recorder, spec = Recorder(), SimpleNamespace(storage=None, folder=info.folder)
    apart = recorded(Observers((observer,)), recorder, spec, LOGS)
    parent_id = apart.study_opened(info)
    assert os.environ[VARIABLE].startswith("sweeper-")
    if dies:
        recorder._process.kill()
    apart.study_finished(replace(info, parent_id=parent_id, has_ended=True))
    recorder.close()
    assert VARIABLE not in os.environ
    assert dies or "study" not in capfd.readouterr().err
    [run] = parent_runs(tmp_path)
    assert (run.info.status, run.data.metrics["trials/complete"]) == ("FINISHED", N_TRIALS)


def test_a_study_that_mlflow_does_not_record_needs_no_process() -> None:
    assert start_recorder({"observers": [{"_target_": "my.Observer"}, object()]}) is None
    own_storage = {"observers": [{"_target_": OBSERVER}], "storage": object()}
    assert start_recorder(own_storage) is None
    assert start_recorder({"observers": [{"_target_": OBSERVER}], "join": True}) is None
