import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeper.errors import OutageError
from sweeper.space.space import Space
from sweeper.sweep.board import Board
from sweeper.sweep.budget import FAILURE_KEY, Budget
from sweeper.sweep.curve import LOOKS_KEY, PLACE_KEY, Place, Stretch
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.spec import SamplerRecipe, StudySpec

PROMOTION = Promotion(3, 1, 1, maximize=False, pauses=True)
X = {"params": {"x": 0.25}, "distributions": {"x": FloatDistribution(0, 1)}}
COMPLETE = create_trial(value=0.5, **X)
FAILED = create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: "no memory"}, **X)
RUNNING = create_trial(
    state=TrialState.RUNNING,
    intermediate_values={3: 0.75},
    system_attrs={LEASE_KEY: Lease.new(60).record()},
    **X,
)


def spec_of(budget, storage=None):
    recipe = SamplerRecipe(optuna.samplers.RandomSampler())
    return StudySpec("s", Path(), Space(), budget, recipe, optuna.pruners.NopPruner(), storage)


@pytest.fixture
def make_board():
    """Return a function that makes the board of a study with these trials.

    Those in `before` were there when its command began.
    """

    def make(*trials, direction="minimize", promotion=PROMOTION, before=()):
        study = optuna.create_study(direction=direction)
        spec = spec_of(Budget(4, promotion=promotion))
        study.add_trials(before)
        board = Board(study, spec, in_terminal=False)
        study.add_trials(trials)
        return board, study.trials

    return make


@pytest.mark.parametrize(
    ("trial", "text"), [(COMPLETE, "complete 0.5  x=0.25"), (FAILED, "fail (x=0.25): no memory")]
)
def test_a_finished_trial_is_a_line(make_board, trial, text) -> None:
    board, trials = make_board(trial)
    assert board.line(trials[0]) == f"[0/4] trial 0 {text}"


def test_a_paused_and_a_promoted_trial_are_lines_too(make_board) -> None:
    place = Place(stretches=(Stretch(0.0, 1.0, "host 7"),))
    paused = {PLACE_KEY: replace(place, is_paused=True).record(), LOOKS_KEY: [[0.25, 0.5]]}
    promoted = {PLACE_KEY: place.record(), LOOKS_KEY: [[0.25, 0.5]]}
    board, trials = make_board(
        create_trial(state=TrialState.WAITING, system_attrs=paused, **X),
        create_trial(state=TrialState.RUNNING, system_attrs=promoted, **X),
    )
    assert board.line(trials[0]) == "[0/4] trial 0 paused after 0.25 epochs, 0.5  x=0.25"
    assert board.line(trials[1]) == "[0/4] trial 1 promoted 0.5  x=0.25"


def test_a_trial_that_is_being_paused_is_not_promoted(make_board, capsys) -> None:
    place = Place(is_paused=True, stretches=(Stretch(0.0, 1.0, "host 7"),))
    attrs = {PLACE_KEY: place.record(), LOOKS_KEY: [[0.25, 0.5]]}
    states = (TrialState.RUNNING, TrialState.WAITING)  # the place is written before the state
    board, trials = make_board(*(create_trial(state=s, system_attrs=attrs, **X) for s in states))
    board._print_new(trials)
    assert capsys.readouterr().out == "[1/4] trial 1 paused after 0.25 epochs, 0.5  x=0.25\n"


def test_more_trials_than_the_budget_have_no_total(make_board, capsys) -> None:
    board, trials = make_board(*[COMPLETE] * 5)  # a worker that has joined has a larger budget
    board._print_new(trials)
    *_, fourth, fifth = capsys.readouterr().out.splitlines()
    assert fourth.startswith("[4/4] trial 3")
    assert fifth.startswith("[5] trial 4")
    assert "\n5 trials  " in f"\n{board.text(trials).plain}"


def test_without_pauses_the_paused_trials_of_an_earlier_command_are_still_to_be_run(
    make_board, capsys
) -> None:
    place = Place(is_paused=True, stretches=(Stretch(0.0, 1.0, "host 7"),))
    attrs = {PLACE_KEY: place.record(), LOOKS_KEY: [[0.25, 0.5]]}
    paused = create_trial(state=TrialState.WAITING, system_attrs=attrs, **X)
    board, trials = make_board(COMPLETE, promotion=None, before=[paused, paused])
    assert board.text(trials).plain.splitlines()[1].startswith("1 done, 0 running, 0 pruned")
    assert "1 of 4 trials" in board.text(trials).plain
    board._print_new(trials)
    assert capsys.readouterr().out.startswith("[1/4] trial 2 complete 0.5")


def test_the_picture_has_counts_and_running_trials(make_board) -> None:
    board, trials = make_board(COMPLETE, FAILED, RUNNING, promotion=None)
    text = board.text(trials).plain
    assert "1 of 4 trials" in text
    assert "1 done, 1 running, 0 pruned, 1 failed" in text
    assert all(word in text for word in ("best 0.5 in trial 0", "0.75", "x=0.25"))


@pytest.mark.parametrize(("direction", "best"), [("minimize", "0.5"), ("maximize", "0.9")])
def test_the_best_trial_depends_on_the_direction(make_board, direction, best) -> None:
    board, trials = make_board(COMPLETE, create_trial(value=0.9, **X), direction=direction)
    assert f"best {best}" in board.text(trials).plain


class Leaving(InMemoryStorage):
    """A storage that can be away, and tells when it was asked then."""

    is_away, was_asked = False, threading.Event()

    def get_all_trials(self, *arguments, **keywords):
        if self.is_away:
            self.was_asked.set()
            raise OutageError("it is away")
        return super().get_all_trials(*arguments, **keywords)


def test_the_progress_is_shown_again_after_an_outage(capsys, caplog) -> None:
    study = optuna.create_study(study_name="s", storage=(storage := Leaving()))
    with Board(study, spec_of(Budget(4), storage), in_terminal=False):
        storage.is_away = True
        assert storage.was_asked.wait(30)
        storage.is_away = False
        study.add_trial(COMPLETE)
    assert capsys.readouterr().out == "[1/4] trial 0 complete 0.5  x=0.25\n"
    assert caplog.messages == []
