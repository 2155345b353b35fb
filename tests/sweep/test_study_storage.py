"""The storage of a study, ready for its workers."""

import time

import optuna
import pytest

from sweeper.sweep.study_storage import common_deadline


@pytest.mark.parametrize(
    ("limit", "seconds_ago", "is_common"), [(60, 10, True), (30, 10, False), (60, 70, False)]
)
def test_a_worker_that_joins_ends_with_its_command_unless_it_has_its_own_limit(
    limit, seconds_ago, is_common
) -> None:
    study, now = optuna.create_study(), time.time()
    begun = now - seconds_ago
    assert common_deadline(study, 60, begun + 60, join=False) == begun + 60
    joined = common_deadline(study, limit, now + limit, join=True)
    assert joined == (begun + 60 if is_common else now + limit)
