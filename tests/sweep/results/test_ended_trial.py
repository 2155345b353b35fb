import pytest
from optuna.trial import create_trial

from sweeper.cli.program import standing_in
from sweeper.sweep.budget import THREADS_KEY, THREADS_VARIABLE
from sweeper.sweep.folder_id import folder_id
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.results.ended_trial import EndedTrial, retraining
from sweeper.sweep.results.trial_folder import LAYOUT_KEY


@pytest.mark.parametrize(
    ("program", "threads", "names_threads", "expected"),
    [
        (["-m", "sweeper"], "2", False, "python -m sweeper x=1 trainer.threads=2"),
        (["-m", "sweeper"], "2", True, "python -m sweeper x=1"),
        (["-m", "sweeper"], "4", False, "python -m sweeper x=1"),  # as the environment has it
        (["-m", "sweeper"], None, False, "python -m sweeper x=1"),
        (["-m", "sweeper"], "2,1", False, "OMP_NUM_THREADS=2,1 python -m sweeper x=1"),
        (["app.py"], "2", True, "OMP_NUM_THREADS=2 python app.py x=1"),
        (["app.py"], "1; touch x #", False, "OMP_NUM_THREADS='1; touch x #' python app.py x=1"),
    ],
)
def test_a_trial_is_trained_again_with_its_number_of_threads(
    monkeypatch, program, threads, names_threads, expected
) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "4")
    trial = create_trial(value=1.0, user_attrs={THREADS_KEY: threads})
    again = retraining(trial, (program, []), ["x=1"], [], False, names_threads)
    assert again.command == expected
    assert expected.endswith(" ".join(again.overrides))


@pytest.mark.parametrize(("line", "named"), [("+trainer.threads=3", []), ("x=1", ["2"])])
def test_a_number_of_threads_in_the_config_is_that_of_the_trial(live, line, named) -> None:
    trial = create_trial(value=1.0, user_attrs={THREADS_KEY: "2"})
    with standing_in(["-m", "sweeper"], []):
        again = EndedTrial(trial, live("y=1,2", line)).again
    added = [line for line in again.overrides if line.startswith("trainer.threads=")]
    assert added == [f"trainer.threads={number}" for number in named]


@pytest.mark.parametrize(
    ("steering", "starts_study", "expected"),
    [
        (["run_name", "tags"], False, "x=1 tracking.register=m"),
        (["tracking", "tags", "run_name"], True, "x=1 hydra.mode=RUN"),
        ([], False, "run_name=n +tags.a=b x=1 tracking.register=m"),
    ],
)
def test_a_trial_is_trained_again_once_and_not_under_its_studys_name(
    steering, starts_study, expected
) -> None:
    overrides = ["++study=fresh", "run_name=n", "+tags.a=b", "x=1", "tracking.register=m"]
    started = ["app.py"], ["-cn", "mine", "x=2"]
    again = retraining(create_trial(value=1.0), started, overrides, steering, starts_study)
    assert again.command.startswith("python app.py -cn mine ")
    assert again.command.endswith(f" {expected}")
    once = ["hydra.mode=RUN"] if starts_study else []
    assert [*again.overrides, *once] == expected.split()  # `sweeper.run` sets the mode


@pytest.mark.parametrize(("is_here", "kept"), [(True, "winner"), (False, None)])
def test_best_has_the_winners_last_attempt_or_nothing(tmp_path, is_here, kept) -> None:
    for folder, text in (("0", "winner"), ("1", "earlier")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "best.pt").write_text(text)
    (tmp_path / "best").mkdir()
    (tmp_path / "best/best.pt").hardlink_to(tmp_path / "1/best.pt")
    here = folder_id(tmp_path)
    lease = Lease.new(folder=here if is_here else "other")
    attrs = {LEASE_KEY: lease.record()}
    trial = create_trial(value=1.0, system_attrs=attrs, user_attrs={LAYOUT_KEY: ["0", None]})
    EndedTrial(trial, live=None).link_best_folder(tmp_path, [trial])
    best = tmp_path / "best/best.pt"
    assert (best.read_text() if best.exists() else None) == kept
