from dataclasses import replace

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sweeper.sweep.board_view import BLOCKS, Frame, leaderboard, picture, short_names, sparkline
from sweeper.sweep.curve import PLACE_KEY, Place

FRAME = Frame(maximize=[True], n_trials=20, seconds=60.0, n_tried=4)


def trial(number, value=None, state=TrialState.COMPLETE, curve=(), place=None):
    names = {"optimizer.lr": 0.00123456, "data.a_key_with_a_long_name": 0.5, "model.width": 0.25}
    made = create_trial(
        value=value,
        state=state,
        params=names,
        distributions={name: FloatDistribution(0, 1) for name in names},
        intermediate_values=dict(enumerate(curve, start=1)),
        system_attrs={} if place is None else {PLACE_KEY: place.record()},
    )
    made.number = number
    return made


COMPLETE = [trial(n, value=n / 10) for n in range(8)]
RUNNING = trial(8, None, TrialState.RUNNING, [0.1, 0.5, 0.9], Place(length=10))
PAUSED = trial(9, None, TrialState.WAITING, [0.95], Place(is_paused=True, length=10))
FAILED = trial(10, None, TrialState.FAIL)


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_terminal(width, unicode) -> None:
    trials = [*COMPLETE, RUNNING, PAUSED, FAILED]
    lines = picture(replace(FRAME, unicode=unicode), trials, width=width)
    assert max(map(len, lines)) < width
    assert unicode or "\n".join(lines).isascii()


def test_the_counts_the_time_left_and_the_best_trial_are_in_the_first_lines() -> None:
    frame = replace(FRAME, pauses=True)
    first, second, third, *_ = picture(frame, [*COMPLETE, RUNNING, PAUSED, FAILED])
    assert "9 of 20 trials  1:00, about 2:45 left" in first
    assert second == "9 done, 1 running, 1 paused, 0 pruned, 1 failed; 4.0 trials per minute"
    assert third == "best 0.7 in trial 7"


@pytest.mark.parametrize(("maximize", "numbers"), [(True, "76543"), (False, "01234")])
def test_the_leaderboard_has_the_five_best_trials_with_their_parameters(maximize, numbers) -> None:
    _, _, head, *rows = leaderboard(Frame(maximize=[maximize]), COMPLETE, 100)
    assert head.split() == ["top", "value", "trial", "epochs", "parameters"]
    assert [row.split()[2] for row in rows] == list(numbers)
    assert rows[0].endswith("lr=0.001235 a_key_with_a_long_name=0.5 width=0.25")


def test_the_parameters_with_the_most_values_come_first() -> None:
    trials = [trial(n, value=n / 10) for n in range(3)]
    for n, each in enumerate(trials):
        each.params["model.width"] = n
        each.params["data.a_key_with_a_long_name"] = n // 2
    rows = leaderboard(FRAME, trials, 100)[3:]
    assert rows[0].endswith("width=2 a_key_with_a_long_name=1 lr=0.001235")


def test_paused_and_running_trials_follow_the_complete_ones() -> None:
    rows = leaderboard(FRAME, [RUNNING, PAUSED, COMPLETE[1]])[3:]
    assert [row.split()[1:4] for row in rows[1:]] == [["0.95", "9", "1/10"], ["0.9", "8", "3/10"]]
    assert rows[0].split()[2] == "1"


def test_a_running_trial_has_its_epoch_and_its_curve() -> None:
    row = picture(FRAME, [RUNNING])[-1]
    assert row.split()[:4] == ["8", "3/10", "0.9", "▁▅█"]


def test_running_trials_that_do_not_fit_are_counted() -> None:
    lines = picture(FRAME, [RUNNING] * 30, height=20)
    assert len(lines) <= 20
    assert lines[-1] == "  and 23 more"


def test_of_several_objectives_the_best_of_each_is_shown() -> None:
    two = [create_trial(values=[1.0, 2.0]), create_trial(values=[3.0, 4.0])]
    for number, each in enumerate(two):
        each.number = number
    rows = leaderboard(Frame(maximize=[True, False]), two)[3:]
    assert [row.split()[-1] for row in rows] == ["1", "0"]


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""),
        ([float("nan")], ""),
        ([3.0, 3.0], "▄▄"),
        ([0.0, 1.0], "▁█"),
        (list(range(100)), "▁▂▂▃▄▄▅▅▆▇▇█"),
    ],
)
def test_a_curve_is_drawn_from_its_lowest_to_its_highest_value(values, curve) -> None:
    assert sparkline(values) == curve
    assert set(curve) <= set(BLOCKS)


def test_a_key_is_shortened_if_no_other_has_its_end() -> None:
    assert short_names(["a.x", "b.x", "b.y", "z"]) == {
        "a.x": "a.x",
        "b.x": "b.x",
        "b.y": "y",
        "z": "z",
    }
