from dataclasses import replace

import pytest
from optuna.trial import create_trial

from sweeper.sweep.folder_id import folder_id, has_files_of
from sweeper.sweep.lease import LEASE_KEY, Lease


def test_a_folder_keeps_its_identifier_and_shares_it_with_no_other(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = folder_id(tmp_path / "a")
    assert first == folder_id(tmp_path / "a") != folder_id(tmp_path / "b")


@pytest.mark.parametrize(
    ("folder", "exists", "expected"),
    [
        ("this", True, True),
        ("this", False, False),
        ("other", True, False),  # the files are those of an earlier attempt
        ("", True, True),  # a trial of an earlier version
        ("", False, False),
    ],
)
def test_the_files_of_a_trial_are_those_of_its_last_attempt(
    tmp_path, folder, exists, expected
) -> None:
    own = folder_id(tmp_path)
    lease = replace(Lease.new(), folder=own if folder == "this" else folder)
    trial = create_trial(value=1.0, system_attrs={LEASE_KEY: lease.record()})
    if exists:
        (tmp_path / "0").mkdir()
    assert has_files_of(trial, tmp_path, "0") is expected
