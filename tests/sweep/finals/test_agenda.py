"""When a search is over, and which jobs follow it."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.space.space import Space
from sweeper.sweep.budget import FAILURE_KEY, FATAL_KEY, IMPORTED_KEY, Budget
from sweeper.sweep.finals.agenda import Agenda, prepare_finals, search_is_over
from sweeper.sweep.finals.final_records import Scores
from sweeper.sweep.finals.job import SCORES_KEY, FinalJob
from sweeper.sweep.finals.stage import FinalStage
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
            finals=FinalStage("a.function", **stage),
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


def test_nothing_follows_a_search_that_goes_on(agenda, study) -> None:
    study.add_trial(create_trial(value=2.0))
    agenda.add_next()
    assert agenda.trials() == []


def test_a_host_without_the_winners_files_leaves_it_to_others(agenda, study) -> None:
    study.add_trials([create_trial(value=1.0), create_trial(value=2.0)])
    assert not agenda.has_work()


def test_of_two_equal_jobs_one_is_done(agenda, study, storage) -> None:
    study.add_trials([create_trial(value=2.0), create_trial(value=1.0)])
    agenda.add_next()
    [stored] = agenda.trials()
    finals = storage.get_study_id_from_name("s.finals")
    storage.create_new_trial(finals, FinalJob(1).template(stored))
    assert agenda.ledger.claim() is not None
    assert agenda.ledger.claim() is None
