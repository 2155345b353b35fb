from types import SimpleNamespace

import pytest

from sweeper.launch.slot import Slot


@pytest.mark.parametrize(
    ("returncode", "cause"),
    [(0, "was asked to end"), (3, "ended with exit code 3"), (-9, "was killed by SIGKILL")],
)
def test_the_end_of_a_process_is_told_in_words(returncode, cause) -> None:
    process = SimpleNamespace(returncode=returncode)
    assert Slot({}, process, None, None).exit_cause() == cause
