import pytest

from sweeper.sweep.budget import Budget
from sweeper.sweep.finals.stage import FinalStage, finals_budget, finals_name, without_finals


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["s"], ["s"]),
        (["s", "s.finals"], ["s"]),
        (["s.finals"], ["s.finals"]),  # someone's own name for a study
    ],
)
def test_a_study_of_jobs_is_no_study_of_the_user(names, left) -> None:
    assert without_finals(names) == left
    assert finals_name("s") == "s.finals"


def test_jobs_follow_the_time_limit_of_a_search_that_has_no_other() -> None:
    assert finals_budget(Budget(None, deadline=5.0), FinalStage()).deadline is None
    assert finals_budget(Budget(9, deadline=5.0), FinalStage()).deadline == 5.0


def test_no_job_is_made_of_nothing() -> None:
    assert finals_budget(Budget(9), FinalStage()).next_index([]) is None
