import pytest
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from sweeper.space.grid import all_points
from sweeper.space.live import suggest
from sweeper.sweep.draw import Drawer
from sweeper.sweep.found_space import with_found_space
from sweeper.sweep.study import open_study
from sweeper.sweep.taken_points import TakenPoints

COMPLETE = TrialState.COMPLETE


@pytest.fixture
def drawer(make_ledger, storage, live):
    def make(*lines, n_trials=None, finite=True):
        space, ledger = live(*lines, auto=False), make_ledger(n_trials=n_trials)
        points = all_points(space) if finite else None
        study = open_study("s", storage, RandomSampler(seed=0))
        return Drawer(
            study, ledger, TakenPoints(ledger), lambda trial: suggest(trial, space), points
        )

    return make


def drawn(drawer, n, sampler):
    """Draw and complete `n` trials; return their parameters as the storage has them."""
    for value in range(n):
        claim = drawer.ledger.claim()
        drawer.draw(claim, sampler)
        drawer.ledger.finish(claim, COMPLETE, [float(value)])
    return [t.params for t in drawer.study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("make", [RandomSampler, TPESampler, NSGAIISampler])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_each_point_of_a_finite_space_is_drawn_once(drawer, make) -> None:
    params = drawn(drawer("x=1,2,3", "shape=sphere,plane"), 6, make(seed=0))
    assert {(p["x"], p["shape"]) for p in params} == {
        (x, shape) for x in (1, 2, 3) for shape in ("sphere", "plane")
    }


def test_an_interval_of_integers_is_finite_too(drawer) -> None:
    params = drawn(drawer("x=int(interval(1,12))"), 12, RandomSampler(seed=0))
    assert sorted(p["x"] for p in params) == list(range(1, 13))


def test_a_running_or_waiting_trials_point_is_not_drawn_again(drawer) -> None:
    draws = drawer("x=1,2,3")
    running, waiting, third = (draws.ledger.claim() for _ in range(3))
    points = [draws.draw(claim, RandomSampler(seed=0)).params["x"] for claim in (running, waiting)]
    draws.ledger.release(waiting)
    points.append(draws.draw(third, RandomSampler(seed=0)).params["x"])
    assert sorted(points) == [1, 2, 3]


def test_a_point_that_a_later_trial_has_drawn_first_is_not_drawn_again(drawer) -> None:
    draws = drawer("x=1,2,3")
    slow, *others = (draws.ledger.claim() for _ in range(3))
    points = [draws.draw(claim, RandomSampler(seed=0)).params["x"] for claim in (*others, slow)]
    assert sorted(points) == [1, 2, 3]


def test_without_a_new_point_the_draw_says_so(drawer) -> None:
    draws = drawer("x=1,2", finite=False)
    drawn(draws, 2, RandomSampler(seed=0))
    last = draws.draw(draws.ledger.claim(), RandomSampler(seed=0))
    assert last.is_exhausted


def test_a_fixed_point_that_the_study_has_is_named(drawer) -> None:
    draws = drawer("x=1,2,3")
    drawn(draws, 1, RandomSampler(seed=0))
    x = draws.study.trials[0].params["x"]
    draws.study.enqueue_trial({"x": x})
    last = draws.draw(draws.ledger.claim(), RandomSampler(seed=0))
    assert (last.original.number, last.is_exhausted) == (0, False)


def test_a_partly_fixed_point_keeps_its_values_when_it_is_drawn_again(drawer) -> None:
    draws = drawer("x=1,2", "shape=sphere,plane")
    for _ in range(2):
        draws.study.enqueue_trial({"x": 2})
    params = drawn(draws, 2, RandomSampler(seed=0))
    assert [p["x"] for p in params] == [2, 2]
    assert {p["shape"] for p in params} == {"sphere", "plane"}


def test_a_partly_fixed_point_without_a_free_one_repeats_a_trial(drawer) -> None:
    draws = drawer("x=1,2", "shape=sphere,plane")
    for point in ({"x": 2, "shape": "plane"}, {"x": 2, "shape": "sphere"}, {"x": 2}):
        draws.study.enqueue_trial(point)
    drawn(draws, 2, RandomSampler(seed=0))
    last = draws.draw(draws.ledger.claim(), RandomSampler(seed=0))
    assert (last.original.params["x"], last.is_exhausted) == (2, False)


def test_an_attempt_that_began_goes_on_with_its_point_though_another_trial_has_it(drawer) -> None:
    draws = drawer("x=1,2,3")
    first = draws.ledger.claim()
    params = draws.draw(first, RandomSampler(seed=0)).params
    draws.ledger.release(first)
    template = draws.study.get_trials()[0]
    draws.study.add_trial(
        create_trial(params=params, distributions=template.distributions, value=0.0)
    )
    again = draws.draw(draws.ledger.claim(), RandomSampler(seed=1))
    assert (again.params, again.original) == (params, None)


@pytest.mark.parametrize("point", [{"x": 2}, {"x": 2, "shape": "sphere"}])
def test_an_attempt_that_ended_before_its_draw_repeats_no_trial(drawer, point) -> None:
    draws = drawer("x=1,2", "shape=sphere,plane")
    for shape in ("plane", "sphere"):
        draws.study.enqueue_trial({"x": 2, "shape": shape})
    drawn(draws, 2, RandomSampler(seed=0))
    draws.study.enqueue_trial(point)
    draws.ledger.release(draws.ledger.claim())
    claim = draws.ledger.claim()
    assert claim.attempt == 1
    assert draws.draw(claim, RandomSampler(seed=0)).original.params["x"] == 2


def test_a_point_that_has_just_failed_is_no_unused_one(drawer) -> None:
    draws = drawer("x=range(30)")
    for _ in range(30):
        claim = draws.ledger.claim()
        assert draws.draw(claim, RandomSampler(seed=0)).original is None
        draws.ledger.finish(claim, TrialState.FAIL)


def test_a_failed_point_is_drawn_again_by_a_later_command_only(drawer) -> None:
    draws = drawer("x=1,2")
    first = draws.ledger.claim()
    x = draws.draw(first, RandomSampler(seed=0)).params["x"]
    draws.ledger.finish(first, TrialState.FAIL)
    assert draws.draw(draws.ledger.claim(), RandomSampler(seed=0)).params["x"] != x


class Counting(RandomSampler):
    """A sampler that leaves an attribute in the trial each time that it samples a point."""

    n = 0

    def infer_relative_search_space(self, study, trial):
        self.n += 1
        study._storage.set_trial_system_attr(trial._trial_id, f"round {self.n}", self.n)
        return {}


def test_a_point_that_is_not_used_leaves_no_trace(drawer) -> None:
    draws = drawer("x=1,2", "steps=1,2,3")
    drawn(draws, 5, RandomSampler(seed=0))
    claim, sampler = draws.ledger.claim(), Counting(seed=0)
    draws.draw(claim, sampler)
    trial = draws.study._storage.get_trial(claim.trial_id)
    rounds = [key for key in trial.system_attrs if key.startswith("round")]
    assert sampler.n > 1
    assert len(rounds) <= 1


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trials_own_sampler_draws_the_same_with_the_space_of_an_earlier_one(
    drawer, monkeypatch
) -> None:
    draws = drawer("x=interval(0,9)", "y=interval(0,9)", finite=False)
    seen = [TPESampler(seed=0, multivariate=True, n_startup_trials=2)]
    drawn(draws, 5, seen[0])

    def next_point(sampler):
        claim = draws.ledger.claim()
        params = draws.draw(claim, sampler).params
        draws.ledger.finish(claim, TrialState.FAIL, None, {"duplicate_of": 0})
        return params

    alone, other = (TPESampler(seed=7, multivariate=True, n_startup_trials=2) for _ in range(2))
    known = with_found_space(other, seen[0])
    assert known._search_space is seen[0]._search_space
    assert next_point(alone) == next_point(known)


def test_a_sampler_of_another_kind_keeps_its_own_space() -> None:
    sampler = NSGAIISampler(seed=0)
    space = sampler._search_space
    assert with_found_space(sampler, TPESampler(seed=0))._search_space is space
