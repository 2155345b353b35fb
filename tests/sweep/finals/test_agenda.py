"""When a search is over, and which jobs follow it."""

import math
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.space.space import Space
from sweeper.sweep.budget import FAILURE_KEY, FATAL_KEY, IMPORTED_KEY, Budget, was_not_needed
from sweeper.sweep.finals.agenda import Agenda, prepare_finals, search_is_over
from sweeper.sweep.finals.final_job import SCORES_KEY, FinalJob
from sweeper.sweep.finals.final_records import Finalists, Scores
from sweeper.sweep.finals.stage import FinalStage
from sweeper.sweep.folder_id import folder_id
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.results.front import best_trials
from sweeper.sweep.spec import PrunerRecipe, SamplerRecipe, StudySpec
from sweeper.sweep.stop_rule import StopRule

DONE = create_trial(value=1.0)
RUNS = create_trial(state=TrialState.RUNNING)
WAITS = create_trial(state=TrialState.WAITING)
FAILED = create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "it broke"})
FATAL = create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "text", FATAL_KEY: True})
ELSEWHERE = create_trial(value=0.5, user_attrs={IMPORTED_KEY: True})


@pytest.fixture
def make_spec(tmp_path):
    def make(budget: Budget, **stage) -> StudySpec:
        return StudySpec(
            name="s",
            folder=tmp_path,
            space=Space({}, {}, ()),
            budget=budget,
            sampler=SamplerRecipe(optuna.samplers.RandomSampler()),
            pruner=PrunerRecipe(optuna.pruners.NopPruner()),
            finals=FinalStage("a.function" if not stage.get("seeds") else None, **stage),
        )

    return make


@pytest.mark.parametrize(
    ("budget", "trials", "expected"),
    [
        (Budget(2), [DONE, DONE], True),
        (Budget(2), [DONE, ELSEWHERE], False),
        (Budget(2), [DONE, DONE, RUNS], False),
        (Budget(1), [DONE, WAITS], True),
        (Budget(2), [DONE, DONE, FATAL], False),
        (Budget(2, deadline=5.0), [DONE, WAITS], False),
        (Budget(None, deadline=5.0), [DONE, WAITS], True),
        (Budget(None, deadline=15.0), [DONE], False),
        (Budget(9, stop=StopRule(1.0, None, False)), [DONE], True),
        (Budget(2, n_points=2), [DONE, FAILED], False),
    ],
)
def test_a_search_is_over_when_it_has_what_was_asked_for(
    make_spec, budget, trials, expected
) -> None:
    assert search_is_over(make_spec(budget), trials, now=10.0) == expected


def test_points_may_be_missing_if_the_user_says_so(make_spec) -> None:
    spec = make_spec(Budget(2, n_points=2, max_failure_rate=0.9), may_miss_points=True)
    assert search_is_over(spec, [DONE, FAILED], now=10.0)


@pytest.fixture
def study(storage):
    return optuna.create_study(study_name="s", storage=storage)


@pytest.fixture
def agenda(make_spec, storage, study, tmp_path):
    spec = make_spec(Budget(2))
    prepare_finals(spec, storage, ["minimize"])
    (tmp_path / "1").mkdir()
    return Agenda(spec, storage)


def test_the_winner_is_scored_once_however_often_someone_looks(agenda, study) -> None:
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    assert agenda.has_work()
    agenda.add_next()
    agenda.add_next()
    assert [FinalJob.of(t) for t in agenda.trials()] == [FinalJob(1)]
    claim = agenda.ledger.claim()
    assert not agenda.has_work()
    agenda.ledger.finish(claim, TrialState.COMPLETE, [1.0], {SCORES_KEY: {"test/loss": 3.0}})
    assert not agenda.has_work()
    assert Scores.recorded(study.user_attrs, 1) == Scores(1, {"test/loss": 3.0})
    assert Scores.recorded(study.user_attrs, 0) is None


def test_a_new_winner_without_scores_has_none_of_the_former_one(agenda, study, tmp_path) -> None:
    def score(**attrs) -> dict[str, float]:
        agenda.add_next()
        end = (TrialState.COMPLETE, [0.0]) if SCORES_KEY in attrs else (TrialState.FAIL, None)
        agenda.ledger.finish(agenda.ledger.claim(), *end, attrs)
        agenda.has_work()
        return Scores.by_name(study.user_attrs, best_trials(study)[0].number)

    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    assert score(**{SCORES_KEY: {"test/loss": 3.0}}) == {"test/loss": 3.0}
    study.add_trial(create_trial(value=0.5))
    without = pytest.approx({"test/loss": math.nan}, nan_ok=True)
    assert Scores.by_name(study.user_attrs, 2) == without
    (tmp_path / "2").mkdir()
    assert score(**{FAILURE_KEY: "last.pt is damaged"}) == without
    assert Scores.recorded(study.user_attrs, 2).failure == "last.pt is damaged"


def test_nothing_follows_a_search_that_goes_on(agenda, study) -> None:
    study.add_trial(create_trial(value=2.0))
    assert not agenda.add_next()
    assert agenda.trials() == []


def test_a_job_of_an_earlier_command_waits_for_the_end_of_the_search(
    agenda, study, make_spec, storage
) -> None:
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    agenda.add_next()
    longer = Agenda(make_spec(Budget(3)), storage)
    assert not longer.has_work()
    assert not longer.add_next()


def test_a_job_whose_worker_died_does_not_seem_to_run_while_the_search_goes_on(
    agenda, study, make_spec, storage
) -> None:
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    agenda.add_next()
    claim = agenda.ledger.claim()
    dead = replace(claim.lease, pid=2**22 + 1).record()
    agenda.ledger._storage.set_trial_system_attr(claim.trial_id, LEASE_KEY, dead)
    longer = Agenda(make_spec(Budget(3)), storage)
    assert not longer.has_work()
    assert [job.state for job in longer.trials()] == [TrialState.WAITING]
    study.add_trial(create_trial(value=3.0))
    again = longer.ledger.claim()
    assert (again.number, again.attempt, again.lease.deaths) == (claim.number, 1, 1)


def test_a_host_without_the_winners_files_leaves_it_to_others(agenda, study) -> None:
    study.add_trials([create_trial(value=1.0), create_trial(value=2.0)])
    assert not agenda.has_work()


def test_a_winner_that_wrote_nothing_is_scored_where_it_was_run(agenda, study) -> None:
    lease = {LEASE_KEY: Lease.new().record()}
    study.add_trials([create_trial(value=1.0, system_attrs=lease), create_trial(value=2.0)])
    assert agenda.has_work()


def test_a_winner_that_another_host_has_completed_is_left_to_it(agenda, study) -> None:
    folder = agenda.ledger._lock.parent
    assert (folder / "1").is_dir()  # an earlier attempt, which was paused here
    folder_id(folder)
    lease = {LEASE_KEY: Lease.new(folder="other").record()}
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0, system_attrs=lease)])
    assert not agenda.has_work()


def test_of_two_equal_jobs_one_is_done(agenda, study) -> None:
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    agenda.add_next()
    [stored] = agenda.trials()
    storage = agenda.ledger._storage
    finals = storage.get_study_id_from_name("s.finals")
    storage.create_new_trial(finals, FinalJob(1).template(stored))
    assert agenda.ledger.claim() is not None
    assert agenda.ledger.claim() is None


@pytest.mark.parametrize(
    ("budget", "waits"),
    [(Budget(None, deadline=5.0), True), (Budget(2, deadline=5.0), False), (Budget(2), True)],
)
def test_workers_wait_for_the_last_trials_if_finals_may_follow(
    make_spec, storage, study, budget, waits
) -> None:
    study.add_trials([DONE, DONE, RUNS])
    spec = make_spec(budget, n_finalists=2, seeds=(1, 2, 3))
    prepare_finals(spec, storage, ["minimize"])
    assert Agenda(spec, storage).awaits_search() == waits


@pytest.fixture
def make_racing(make_spec, storage, study):
    """Return a function that makes the agenda of so many finalists with three further seeds."""

    def make(n: int, failed_before: frozenset[int] = frozenset()) -> Agenda:
        if not study.trials:
            study.add_trials([create_trial(value=value) for value in (2.0, 1.0, 5.0)])
        seeds = (1, 2, 3)
        spec = make_spec(Budget(3), n_finalists=n, seeds=seeds, failed_before=failed_before)
        prepare_finals(spec, storage, ["minimize"])
        return Agenda(spec, storage)

    return make


def finish(agenda, value: float | None) -> FinalJob:
    """End the next run with a value, or as one that failed."""
    agenda.add_next()
    claim = agenda.ledger.claim()
    job = FinalJob.of(next(t for t in agenda.trials() if t.number == claim.number))
    state = TrialState.COMPLETE if value is not None else TrialState.FAIL
    agenda.ledger.finish(claim, state, None if value is None else [value])
    return job


def test_finalists_get_their_seeds_in_turn_and_each_once(make_racing, study) -> None:
    racing = make_racing(2)
    done = [finish(racing, value) for value in (1.3, 1.1, 1.2, 1.0, 1.4, 1.25)]
    assert done == [FinalJob(t, seed) for seed in (1, 2, 3) for t in (1, 0)]
    assert Finalists.recorded(study.user_attrs, [1, 0, 2]) is None
    racing.has_work()
    assert Finalists.recorded(study.user_attrs, [1, 0, 2]).winner == 0
    assert [t.number for t in best_trials(study)] == [0]


def test_a_larger_race_takes_the_place_of_the_one_before(make_racing, study) -> None:
    racing = make_racing(2)
    for value in (1.3, 1.1, 1.2, 1.0, 1.4, 1.25):
        finish(racing, value)
    assert not racing.has_work()
    larger = make_racing(3)
    assert Finalists.recorded(study.user_attrs, [1, 0, 2]) is None
    assert [t.number for t in best_trials(study)] == [1]
    assert [finish(larger, 5.0).trial for _ in range(3)] == [2, 2, 2]
    assert not larger.has_work()
    assert Finalists.recorded(study.user_attrs, [1, 0, 2]).winner == 0


def test_a_finalist_whose_run_failed_gets_no_other(make_racing, study) -> None:
    racing = make_racing(3)
    done = [finish(racing, value) for value in (None, 2.1, 5.2, 2.0, 5.0, 2.2, 5.1)]
    assert done[3:] == [FinalJob(t, seed) for seed in (2, 3) for t in (0, 2)]
    assert not racing.has_work()
    assert [t.number for t in best_trials(study)] == [0]


def test_a_finalist_whose_run_failed_is_tried_again_by_a_later_command(make_racing, study) -> None:
    racing = make_racing(2)
    failed = {FAILURE_KEY: "the disk is full"}
    racing.add_next()
    racing.ledger.finish(racing.ledger.claim(), TrialState.FAIL, None, failed)  # trial 1, seed 1
    assert not racing.has_work()
    found = Finalists.recorded(study.user_attrs, [1, 0, 2])
    assert found.lines[1] == (
        "  finalist 1: its first run failed: the disk is full; the same command tries again"
    )
    later = make_racing(2, failed_before=frozenset({0}))
    assert later.has_work()
    done = [finish(later, value) for value in (1.1, 1.3, 1.0, 1.2, 1.25, 1.4)]
    assert done == [FinalJob(t, seed) for seed in (1, 2, 3) for t in (1, 0)]
    assert not later.has_work()
    found = Finalists.recorded(study.user_attrs, [1, 0, 2])
    assert (len(found.places), found.failures) == (2, {})


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_run_that_no_worker_has_is_ended_when_its_finalist_is_out(make_racing, is_dead) -> None:
    racing = make_racing(3)
    racing.add_next()
    first = racing.ledger.claim()  # trial 1 with seed 1
    finish(racing, 2.0)
    finish(racing, 5.0)
    racing.add_next()
    second = racing.ledger.claim()  # trial 1 with seed 2
    if is_dead:
        dead = replace(second.lease, pid=2**22 + 1).record()
        racing.ledger._storage.set_trial_system_attr(second.trial_id, LEASE_KEY, dead)
    else:
        racing.ledger.release(second)
    racing.ledger.finish(first, TrialState.FAIL)
    racing.has_work()
    [ended] = [t for t in racing.trials() if t.number == second.number]
    assert was_not_needed(ended)
