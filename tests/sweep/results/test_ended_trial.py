import pytest
from optuna.trial import create_trial

from sweeper.sweep.budget import THREADS_KEY
from sweeper.sweep.folder_id import folder_id
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.results.ended_trial import EndedTrial, retraining, threads_prefix
from sweeper.sweep.results.trial_folder import LAYOUT_KEY


def test_a_number_of_threads_from_the_storage_is_no_command() -> None:
    trial = create_trial(value=1.0, user_attrs={THREADS_KEY: "1; touch x #"})
    assert threads_prefix(trial) == "OMP_NUM_THREADS='1; touch x #' "


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
    again = retraining(create_trial(value=1.0), overrides, steering, starts_study)
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
