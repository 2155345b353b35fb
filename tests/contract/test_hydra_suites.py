"""Hydra's own suites for launchers, on ours under the basic sweeper and on our sweeper."""

from collections.abc import Callable, Iterator

import pytest
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase, __compat_version__

# The suite leaves files to the garbage collector, and reads HydraConfig without a version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _version_base_of_the_suite() -> Iterator[None]:
    base = VersionBase.instance()
    before = base.version_base
    base.setbase(__compat_version__)
    yield
    base.version_base = before


class ForkedSuite(IntegrationTestSuite):
    """The suite that runs a program for each test."""

    @pytest.fixture(autouse=True)
    def _program(self, python: str) -> None:
        self._python = python

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        """Return a function that replaces Python in a command line."""
        return lambda command, _: [self._python, *command[1:]]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("local", ["hydra.launcher.n_jobs=1"])])
class TestLocalLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("local", ["hydra.launcher.n_jobs=2", "hydra.sweeper.max_batch_size=2"])],
)
class TestLocalLauncherInBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=local"])]
)
class TestLocalLauncherIntegration(ForkedSuite):
    pass


# These tasks return nothing, so their trials fail: the runs themselves are what is tested. One
# test gives the same command twice and wants job 0 twice, where a study would go on with trial 1.
SWEEPER = [
    "-m",
    "hydra/sweeper=sweeper",
    "hydra.sweeper.max_failure_rate=1",
    "hydra.sweeper.study=fresh",
]


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, SWEEPER)])
class TestSweeperIntegration(ForkedSuite):
    pass
