"""The jobs of a worker process."""

import pytest
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus

from sweeper.launch.process import JobRunner


class Task:
    def job_config(self, number: int):
        raise ValueError(f"no config {number}")


def test_a_job_whose_config_cannot_be_composed_fails_and_its_process_lives() -> None:
    result = JobRunner(Singleton.get_state(), None, None, Task(), {}).run([], 3)
    assert result.status == JobStatus.FAILED
    with pytest.raises(ValueError, match="no config 3"):
        _ = result.return_value
