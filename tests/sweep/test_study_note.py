import shlex

import optuna
import pytest
from optuna.trial import create_trial

from sweeper.sweep.finals.final_records import FINALISTS_RECORD, Finalists
from sweeper.sweep.finals.race import FinalPlace
from sweeper.sweep.study_note import LINE_LENGTH, N_FINALISTS, N_TRIALS, study_note
from sweeper.tracking.tags import TAG_LENGTH

LR = optuna.distributions.FloatDistribution(0.0, 100.0)
ACTIVATION = optuna.distributions.CategoricalDistribution(["relu", "a|b"])


def study_of(n: int, directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    study = optuna.create_study(directions=directions)
    for i in range(n):
        params = {"optimizer.lr": float(i), "model.activation@cnn": "a|b"}
        distributions = {"optimizer.lr": LR, "model.activation@cnn": ACTIVATION}
        values = [float(i), float(-i)][: len(directions)]
        study.add_trial(create_trial(params=params, distributions=distributions, values=values))
    return study


def test_the_note_has_the_best_trial_its_command_and_a_table_of_the_best() -> None:
    study = study_of(12)
    note = study_note(study, study.trials[11], {"optimizer.lr": 0.9}, "from 12 trials", "python x")
    assert note.startswith("**Best: 11** in [trial 11](trial:11)")
    assert "python x" in note
    rows = [line for line in note.splitlines() if line.startswith("| [trial")]
    assert rows[0] == "| [trial 11](trial:11) | 11 | 11.0 | a\\|b |"
    assert len(rows) == N_TRIALS
    assert "10 of 12 trials" in note
    assert "| `optimizer.lr` | 90% |" in note


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("[64,M]", r"\[64,M\]"),
        ("leaky_relu", r"leaky\_relu"),
        ("a\n| b", r"a \| b"),
        ("`x` *y*", r"\`x\` \*y\*"),
        ("<script>1&2</script>", "&lt;script&gt;1&amp;2&lt;/script&gt;"),
    ],
)
def test_a_value_stays_within_its_cell_and_is_shown_as_it_is(value: str, cell: str) -> None:
    study = optuna.create_study()
    distribution = optuna.distributions.CategoricalDistribution([value])
    study.add_trial(create_trial(params={"x": value}, distributions={"x": distribution}, value=1.0))
    assert f"| 1 | {cell} |" in study_note(study, None, {}).splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [
        "OMP_NUM_THREADS=1 python -m sweeper 'model.channels=[16, 32]' " + "a.b=0.0123456789 " * 20,
        "python -m sweeper run_name='it'\"'\"'s mine' " + "'a=b c' " * 30,
        "python -m sweeper " + "data.root=" + "x" * 300 + " a=1",
        "python x",
    ],
)
def test_a_long_command_has_lines_that_a_shell_joins_again(command: str) -> None:
    study = study_of(2)
    note = study_note(study, study.trials[1], {}, "", command)
    shown = note.split("```")[1].strip()
    assert shlex.split(shown.replace("\\\n", "")) == shlex.split(command)
    assert all(len(line) <= LINE_LENGTH for line in shown.splitlines() if "xxx" not in line)


def record_race(study: optuna.Study, places: list[FinalPlace]) -> None:
    best = sorted((t.number for t in study.trials), key=lambda n: -study.trials[n].values[0])
    record = Finalists(best[: len(places)], (1, 2), places).record()
    study.set_user_attr(FINALISTS_RECORD, record)


def test_the_note_says_who_won_the_finals_and_by_how_much() -> None:
    study = study_of(4)
    places = [
        FinalPlace(2, (0.98, 0.99)),
        FinalPlace(3, (0.9, 0.94), 0.012, True),
        FinalPlace(1, (0.5,), None, True),
    ]
    record_race(study, places)
    parts = study_note(study, study.trials[2], {}, "", "python x").split("\n\n")
    assert parts[1:4] == [
        "### The finals",
        "Trial 2 beats the next (trial 3) with p = 0.012, after 2 further seeds.",
        "| finalist | mean of its runs | behind the winner by | p |\n"
        "|---|---|---|---|\n"
        "| [trial 2](trial:2) | 0.9850 ± 0.0071 (2 seeds) |  |  |\n"
        "| [trial 3](trial:3) | 0.920 ± 0.028 (2 seeds) | 0.065 | 0.012 |\n"
        "| [trial 1](trial:1) | 0.5, then a run failed | 0.48 |  |",
    ]
    study.add_trial(study_of(9).trials[8])  # the finalists are no longer the best
    assert "finals" not in study_note(study, study.trials[4], {})


def test_the_note_of_a_front_shows_its_members() -> None:
    note = study_note(study_of(3, ("maximize", "maximize")), None, {})
    assert "### The Pareto front" in note
    assert "Best" not in note
    assert note.count("| [trial") == 3


def test_a_study_without_a_complete_trial_has_no_note() -> None:
    assert study_note(study_of(0), None, {}, "No trial has a value") == ""


def test_the_note_of_a_large_space_fits_into_a_tag() -> None:
    study = optuna.create_study(direction="maximize")
    text = "x" * 200
    names = [f"model.a_rather_long_name_{i}" for i in range(40)]
    distribution = optuna.distributions.CategoricalDistribution([text])
    for i in range(20):
        study.add_trial(
            create_trial(
                params=dict.fromkeys(names, text),
                distributions=dict.fromkeys(names, distribution),
                value=float(i),
            )
        )
    record_race(study, [FinalPlace(n, (123456.789, 0.1), 0.012) for n in range(19, 9, -1)])
    note = study_note(study, study.best_trial, dict.fromkeys(names, 1 / 40), "basis", text)
    assert f"({N_FINALISTS} of 10 finalists)" in note
    n_links = 12 + N_FINALISTS
    assert len(note) + n_links * 130 < TAG_LENGTH  # with their addresses
