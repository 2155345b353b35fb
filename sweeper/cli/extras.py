"""Plugins of Hydra that are not installed with this package, and how to install them."""

from sweeper.text import to_install_extra

LAUNCHER_EXTRAS = {
    "joblib": "joblib",
    **dict.fromkeys(["ray", "ray_aws"], "ray"),
    **dict.fromkeys(["submitit_local", "submitit_slurm"], "slurm"),
}
"""Hydra's official launchers, and the extra of this package that installs each."""

OTHER_SWEEPERS = {
    "optuna": "since the default uses Optuna too",
    **dict.fromkeys(["ax", "nevergrad"], "since the default searches with Optuna in its place"),
}
"""Hydra's official sweepers, and why nobody needs to install them.

The official Optuna sweeper for Hydra 1.3 needs Optuna 2, so to install it would break this package.
"""


def installing(group: str, option: str) -> str | None:
    """Return what to type for an option of Hydra's plugins, or None for another option."""
    if group == "hydra/launcher" and option in LAUNCHER_EXTRAS:
        return to_install_extra(LAUNCHER_EXTRAS[option])
    if group == "hydra/sweeper" and option in OTHER_SWEEPERS:
        return f"leave it out, {OTHER_SWEEPERS[option]}"
    return None
