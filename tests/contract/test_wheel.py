"""The package as installed from the built wheel, without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, which is all that installing it does."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    subprocess.run([*build, str(wheels)], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def test_the_wheel_holds_configs_and_types_and_no_tests(installed) -> None:
    assert (installed / "sweeper/conf/model/lenet.yaml").is_file()
    assert (installed / "sweeper/py.typed").is_file()
    assert (installed / "hydra_plugins/sweeper_plugin/sweeper.py").is_file()
    assert (installed / "sweeper/figures/sweeper.mplstyle").is_file()
    assert not (installed / "tests").exists()


def test_the_installed_package_runs_in_an_empty_folder(installed, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    where = (
        "import sweeper.configs, hydra_plugins.sweeper_plugin.sweeper as plugin\n"
        "print(sweeper.configs.CONFIGS, plugin.__file__)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    # An installation of the checkout, which the tests run in, would have the plugin too.
    plugin = installed / "hydra_plugins/sweeper_plugin/sweeper.py"
    assert shown.stdout.split() == [str(installed / "sweeper/conf"), str(plugin)]
    quick = ["trainer=quick", "tracking=none", "figures=false"]
    for words, line in (([], "test accuracy"), (["--multirun", "seed=1,2"], "2 of 2 trials done")):
        command = [sys.executable, "-m", "sweeper", *words, *quick]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert line in done.stdout
