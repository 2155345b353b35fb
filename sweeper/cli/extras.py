"""Plugins of Hydra that are not installed with this package, and how to install them."""

from sweeper.text import to_install, to_install_extra

LAUNCHER_EXTRAS = {
    "joblib": "joblib",
    **dict.fromkeys(["ray", "ray_aws"], "ray"),
    **dict.fromkeys(["submitit_local", "submitit_slurm"], "slurm"),
}
"""Hydra's official launchers, and the extra of this package that installs each."""

SWEEPERS = ("optuna", "ax", "nevergrad")
"""Hydra's official sweepers, which are packages of their own."""


def installing(group: str, option: str) -> str | None:
    """Return what to type to install an option of Hydra's plugins, or None for another option."""
    if group == "hydra/launcher" and option in LAUNCHER_EXTRAS:
        return to_install_extra(LAUNCHER_EXTRAS[option])
    if group == "hydra/sweeper" and option in SWEEPERS:
        needed = to_install(f"hydra-{option}-sweeper")
        return f"leave it out, since the default uses Optuna too, or {needed}"
    return None
