"""What the race of the finalists has shown, in words and for the results file."""

import pytest

from sweeper.sweep.finals.final_records import (
    FINALISTS_RECORD,
    SCORES_RECORD,
    Finalists,
    Scores,
)
from sweeper.sweep.finals.race import FinalPlace

FIRST, CLOSE = FinalPlace(7, (0.98, 0.99)), FinalPlace(3, (0.97, 0.99), 0.5)
BEHIND, FAILED = FinalPlace(12, (0.5, 0.6), 0.012, True), FinalPlace(1, (0.9,), None, True)


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        (
            [FIRST, BEHIND],
            "Trial 7 (x=1) beats the next (trial 12) with p = 0.012, after 2 further seeds",
        ),
        (
            [FIRST, CLOSE, FinalPlace(12, (0.97, 0.97), 0.6)],
            "Trials 7, 3 and 12 cannot be told apart with 2 further seeds; trial 7 (x=1) has the "
            "best mean",
        ),
        ([FIRST, FAILED], "Trial 7 (x=1) is the only finalist whose runs did not fail"),
        ([FIRST, FAILED, BEHIND], "Trial 7 (x=1) beats the next (trial 12)"),
        ([FAILED], "No finalist could be trained with all of the further seeds"),
    ],
)
def test_a_sentence_says_who_wins_and_how_surely(places, sentence) -> None:
    assert Finalists([1], [1, 2], places).sentence("x=1").startswith(sentence)


def test_the_winner_needs_no_parameters_in_a_sentence() -> None:
    assert Finalists([1], [1, 2], [FIRST, BEHIND]).sentence().startswith("Trial 7 beats the next")


def test_the_winner_leads_by_a_mean_over_the_seeds_of_the_other() -> None:
    dropped = FinalPlace(12, (0.9,), 0.01, True)
    finalists = Finalists([7], [1, 2], [FIRST, CLOSE, dropped, FinalPlace(2, (), None, True)])
    leads = [finalists.lead(place) for place in finalists.places]
    assert leads == [None, pytest.approx(0.005), pytest.approx(0.08), None]
    assert Finalists([1], [1, 2], [FAILED]).lead(FAILED) is None
    assert Finalists([7], [1, 2], [FinalPlace(7, ()), FAILED]).lead(FAILED) is None


def test_each_finalist_has_a_line() -> None:
    places = [FIRST, BEHIND, FAILED, FinalPlace(2, (), None, True)]
    assert Finalists([1], [1, 2], places).lines == [
        "  finalist 7: 0.9850 ± 0.0071 (2 seeds)",
        "  finalist 12: 0.550 ± 0.071 (2 seeds), p = 0.012",
        "  finalist 1: 0.9, then a run failed",
        "  finalist 2: its first run failed",
    ]


def test_a_finalist_that_was_not_run_has_not_failed() -> None:
    places = [FinalPlace(7, ()), FinalPlace(2, (), None, True)]
    lines = Finalists([7, 2], [1, 2], places).lines
    assert lines[0] == "  finalist 7: not run, since the others failed"
    assert lines[1] == "  finalist 2: its first run failed"


def test_the_results_file_has_the_values_by_seed() -> None:
    [summary] = Finalists([7], [4, 5], [FIRST]).summary
    assert summary["values"] == {4: 0.98, 5: 0.99}


@pytest.mark.parametrize(
    ("ranking", "counts"), [([7, 12, 3], True), ([12, 7], False), ([7], False)]
)
def test_a_race_counts_as_long_as_its_finalists_are_the_best(ranking, counts) -> None:
    finalists = Finalists([7, 12], [1, 2], [BEHIND, FIRST], {12: "it broke"})
    found = Finalists.recorded({FINALISTS_RECORD: finalists.record()}, ranking)
    assert (found == finalists) if counts else (found is None)
    assert finalists.winner == 7


def test_warnings_of_the_last_job_cannot_act_on_a_terminal() -> None:
    record = Scores(1, {"test/loss": 2.0}, warnings=("no model", "\x1b[2J")).record()
    scores = Scores.recorded({SCORES_RECORD: record}, 1)
    assert scores is not None
    assert scores.warnings[0] == "no model"
    assert scores.warnings[1].isprintable()
    assert scores.lines == ["Scored once, at the end: test/loss 2.0000"]
