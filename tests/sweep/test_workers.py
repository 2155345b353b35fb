"""The workers of a study, whatever their launcher returns."""

from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from optuna.trial import TrialState, create_trial

from sweeper.errors import OutageError
from sweeper.launch.process import failed_job
from sweeper.sweep.workers import Workers

DONE = JobReturn(status=JobStatus.COMPLETED)
FAILED = failed_job(OutageError("the study's database was away"))
WAITING, COMPLETE = create_trial(state=TrialState.WAITING), create_trial(value=1.0)
RUNNING = create_trial(state=TrialState.RUNNING)


@pytest.fixture
def make_workers(monkeypatch):
    """Return a function that makes the workers of a study, and the list of their launches.

    `launches` has what each launch returns, and the trials that there are after it.
    """

    def make(*launches, own_process=True):
        remaining, trials, launched = iter(launches), [WAITING, WAITING], []

        def launch(overrides, initial_job_idx):
            returns, trials[:] = next(remaining)
            launched.append(len(overrides))
            return returns

        monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # set for good otherwise
        monkeypatch.setattr(
            Plugins, "instantiate_launcher", lambda *_, **__: SimpleNamespace(launch=launch)
        )
        budget = SimpleNamespace(is_spent=lambda *_: True, gives_up=lambda *_: False)
        work = SimpleNamespace(
            ledger=SimpleNamespace(budget=budget),
            trials=lambda: list(trials),
            has_work=lambda: WAITING in trials,
            size=lambda: 2,
            text=str,
        )
        spec = SimpleNamespace(name="s", own_process=own_process, foreign_launcher=False)
        settings = SimpleNamespace(n_jobs=2, join=False)
        worker = SimpleNamespace(context=HydraContext(None, None), master=None, job_overrides=list)
        return Workers(SimpleNamespace(spec=spec, settings=settings), worker, [work]), launched

    return make


def test_the_error_of_a_worker_is_a_warning_if_the_others_finish_the_study(
    make_workers, caplog
) -> None:
    workers, _ = make_workers(([FAILED, DONE], [COMPLETE, COMPLETE]))
    assert workers.run() is None
    assert caplog.messages == ["A worker ended early: the study's database was away"]


def test_workers_that_ended_with_an_error_are_launched_again_after_progress(
    make_workers, caplog
) -> None:
    workers, launched = make_workers(
        ([FAILED, FAILED], [COMPLETE, WAITING]), ([DONE, DONE], [COMPLETE, COMPLETE])
    )
    assert workers.run() is None
    assert len(launched) == 2
    assert caplog.messages == ["A worker ended early: the study's database was away"]


def test_the_error_of_a_worker_ends_the_command_if_no_trial_made_progress(
    make_workers, caplog
) -> None:
    workers, _ = make_workers(([FAILED, DONE], [WAITING, WAITING]))
    with pytest.raises(OutageError):
        workers.run()
    assert caplog.messages == []


def test_the_error_of_a_worker_in_this_process_is_raised_while_a_trial_is_left_running(
    make_workers,
) -> None:
    workers, _ = make_workers(([FAILED], [COMPLETE, RUNNING]), own_process=False)
    with pytest.raises(OutageError):
        workers.run()
