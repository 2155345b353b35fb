import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "sweeper.sweep.run_study",
        "sweeper.launch.process",
        "hydra_plugins.sweeper_plugin.sweeper",
        "hydra_plugins.sweeper_plugin.config",
    ],
)
def test_control_loads_neither_torch_nor_mlflow(module) -> None:
    heavy = "{'torch', 'mlflow', 'torchvision'} & set(sys.modules)"
    code = f"import sys, {module}; sys.exit(str({heavy}) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hydras_plugin_scan_does_not_load_optuna() -> None:
    code = "import sys; from hydra.core.plugins import Plugins; Plugins.instance()"
    check = "assert 'optuna' not in sys.modules and 'sweeper.sweep' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)
