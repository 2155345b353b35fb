"""The parent run of a study, in a real MLflow database."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.mlflow_study import MLflowStudy
from sweeper.sweep.observer import StudyInfo
from sweeper.sweep.verdict import DUPLICATE_KEY

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SPACE = {"model.width": optuna.distributions.IntDistribution(1, 9)}


@pytest.fixture
def study(tmp_path):
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    for width, user_attrs in ((1, {}), (2, {}), (2, {DUPLICATE_KEY: 1})):
        params = {"model.width": width}
        trial = create_trial(
            params=params, distributions=SPACE, value=width / 10, user_attrs=user_attrs
        )
        study.add_trial(trial)
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "it broke"}))
    return StudyInfo("s", tmp_path / "s", ("maximize",), {}, {"data": "digits"}, 4, storage)


def test_the_parent_run_records_counts_the_best_trial_and_every_end(study, tmp_path) -> None:
    from mlflow import MlflowClient

    observer = MLflowStudy(metric="val/accuracy", folder=tmp_path)
    parent = observer.study_opened(study)
    assert observer.study_opened(study) == parent
    observer.study_finished(replace(study, parent_id=parent))
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.get_run(parent)
    assert run.data.metrics["best/val_accuracy"] == 0.2
    assert run.data.metrics["trials/complete"] == 3
    assert run.data.tags["best/model.width"] == "2"
    assert run.info.status == "KILLED"  # only three of four trials are done
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    states = {child.info.run_name: child.info.status for child in children}
    assert states == {f"trial {n}": "FINISHED" for n in range(3)} | {"trial 3": "FAILED"}
    figures = {file.path for file in client.list_artifacts(parent, "figures")}
    assert {"figures/history.png", "figures/slice.png", "figures/timeline.png"} <= figures
