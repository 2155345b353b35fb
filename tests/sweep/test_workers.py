"""The workers of a study, whatever their launcher returns."""

import errno
import time
from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from optuna.trial import TrialState, create_trial

from sweeper.errors import OutageError, TrainingError
from sweeper.launch.process import failed_job
from sweeper.space.space import Space
from sweeper.sweep.budget import FATAL_KEY, Budget
from sweeper.sweep.finals.agenda import Agenda, finals_storage, prepare_finals
from sweeper.sweep.finals.stage import FinalStage
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.spec import PrunerRecipe, SamplerRecipe, StudySpec
from sweeper.sweep.work import work_of
from sweeper.sweep.workers import LauncherError, Workers

DONE = JobReturn(status=JobStatus.COMPLETED)
FAILED = failed_job(OutageError("the study's database was away"))
FAILED_LAUNCHER = failed_job(LauncherError("hydra/launcher=joblib failed: it broke"))
FULL = failed_job(OSError(errno.ENOSPC, "No space left on device"))
WAITING, COMPLETE = create_trial(state=TrialState.WAITING), create_trial(value=1.0)
REPORTED = create_trial(state=TrialState.WAITING, intermediate_values={0: 0.5})
RUNNING = create_trial(state=TrialState.RUNNING)
LEASED = {LEASE_KEY: Lease.new().record()}
CLAIMED = create_trial(state=TrialState.WAITING, system_attrs=LEASED)


@pytest.fixture
def make_workers(monkeypatch):
    """Return a function that makes the workers of a study, and the list of their launches.

    `launches` has what each launch returns, and the trials that there are after it; `before` are
    those before the first one.
    """

    def make(*launches, before=(WAITING, WAITING), own_process=True, ledger=None):
        remaining, trials, launched = iter(launches), list(before), []

        def launch(overrides, initial_job_idx):
            if ledger is not None:
                return next(remaining)()
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
            has_work=lambda: any(t.state == TrialState.WAITING for t in work.trials()),
            size=lambda: 2,
            text=str,
        )
        if ledger is not None:
            work.ledger, work.trials, work.has_work = ledger, ledger.trials, ledger.has_work
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
        ([FAILED, FAILED], [COMPLETE, REPORTED]), ([DONE, DONE], [COMPLETE, COMPLETE])
    )
    assert workers.run() is None
    assert len(launched) == 2
    assert caplog.messages == ["A worker ended early: the study's database was away"]


def test_the_error_of_a_worker_ends_the_command_if_no_trial_made_progress(
    make_workers, caplog
) -> None:
    workers, _ = make_workers(([FAILED, DONE], [CLAIMED, create_trial(state=TrialState.FAIL)]))
    with pytest.raises(OutageError):
        workers.run()
    assert caplog.messages == []


def test_an_error_of_a_worker_that_is_no_outage_ends_the_command_if_trials_are_left(
    make_workers, caplog
) -> None:
    workers, launched = make_workers(([FAILED, FULL], [COMPLETE, CLAIMED]))
    with pytest.raises(OSError, match="No space left"):
        workers.run()
    assert len(launched) == 1
    assert caplog.messages == []


def test_an_error_of_a_worker_is_told_before_the_others_are_waited_for(
    make_workers, caplog, monkeypatch
) -> None:
    told, trials = [], [COMPLETE, RUNNING]

    def others_end(_) -> None:
        told[:] = caplog.messages
        workers.work[0].trials = lambda: [COMPLETE, COMPLETE]

    monkeypatch.setattr(time, "sleep", others_end)
    workers, _ = make_workers(([FULL, DONE], trials))
    assert workers.run() is None
    assert told == ["A worker ended early: OSError: [Errno 28] No space left on device"]


def test_a_worker_that_the_command_itself_has_ended_counts_no_death(
    make_workers, make_ledger
) -> None:
    claim = make_ledger().claim()
    ledger = make_ledger(deadline=time.time() - 1)

    def end() -> None:
        lease = replace(claim.lease, pid=2**22 + 1)
        ledger._write_lease(claim.trial_id, lease)
        raise KeyboardInterrupt

    workers, _ = make_workers(end, ledger=ledger)
    assert isinstance(workers.run(), KeyboardInterrupt)
    [trial] = ledger.trials()
    assert trial.state == TrialState.WAITING
    assert Lease.read(trial.system_attrs).deaths == 0


def test_a_command_does_not_wait_for_a_dead_job_while_the_search_is_not_over(
    make_workers, make_ledger, storage, tmp_path, monkeypatch
) -> None:
    first = StudySpec(
        name="s",
        folder=tmp_path,
        space=Space({}, {}, ()),
        budget=Budget(1),
        sampler=SamplerRecipe(optuna.samplers.RandomSampler()),
        pruner=PrunerRecipe(optuna.pruners.NopPruner()),
        finals=FinalStage("a.function"),
    )
    ledger = make_ledger()
    study = optuna.load_study(study_name="s", storage=storage)
    study.add_trial(COMPLETE)
    (tmp_path / "0").mkdir()
    prepare_finals(first, storage, ["minimize"])
    agenda = Agenda(first, storage)
    agenda.add_next()
    claim = agenda.ledger.claim()
    dead = replace(claim.lease, pid=2**22 + 1).record()
    finals_storage(first, storage).set_trial_system_attr(claim.trial_id, LEASE_KEY, dead)

    def fail_for_good():
        study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={FATAL_KEY: True}))
        return [DONE, DONE]

    workers, _ = make_workers(fail_for_good, ledger=ledger)
    longer = work_of(replace(first, budget=Budget(9)), storage)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    assert replace(workers, work=longer).run() is None


def test_the_error_of_a_worker_in_this_process_is_raised_while_a_trial_is_left_running(
    make_workers,
) -> None:
    workers, _ = make_workers(([FAILED], [COMPLETE, RUNNING]), own_process=False)
    with pytest.raises(OutageError):
        workers.run()


def test_a_command_that_waited_takes_over_the_trial_of_another_one_that_died(
    make_workers, monkeypatch
) -> None:
    returns = [DONE, DONE]
    workers, launched = make_workers((returns, [RUNNING]), (returns, [COMPLETE]), before=[RUNNING])
    [work], dead = workers.work, []
    work.has_work = lambda: bool(dead) and RUNNING in work.trials()
    monkeypatch.setattr(time, "sleep", dead.append)
    assert workers.run() is None
    assert len(launched) == 2


def test_workers_that_leave_the_work_undone_end_the_command(make_workers) -> None:
    workers, launched = make_workers(([DONE, DONE], [WAITING, WAITING]))
    with pytest.raises(TrainingError, match="although trials are left; the same command resumes"):
        workers.run()
    assert len(launched) == 1


def test_a_launcher_that_fails_after_all_trials_is_not_taken_for_a_worker(
    make_workers, caplog
) -> None:
    workers, _ = make_workers(([FAILED_LAUNCHER], [COMPLETE, COMPLETE]))
    assert workers.run() is None
    assert caplog.messages == ["hydra/launcher=joblib failed: it broke"]
