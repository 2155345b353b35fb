"""Where a trial's files are: `hydra.sweep.subdir` and `hydra.output_subdir` of its config.

Both may depend on anything, on the time and the host too, so the worker records them in the trial
unless they are the usual ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeper.hydra_state import as_hydra_config
from sweeper.launch.output import OUTPUT_FILE
from sweeper.space.compose import job_subdir
from sweeper.space.live import LiveSpace
from sweeper.sweep.claim import Claim
from sweeper.sweep.lease import Lease

LAYOUT_KEY = "sweeper:layout"
HYDRA_OUTPUT_SUBDIR = ".hydra"


@dataclass(frozen=True)
class TrialLayout:
    """The place of a trial's files.

    Args:
        subdir: Folder of the trial, relative to that of the study, or absolute.
        output_subdir: Folder of Hydra's own files, relative to the trial's; None if there are none.
    """

    subdir: str
    output_subdir: str | None = HYDRA_OUTPUT_SUBDIR

    @staticmethod
    def of(config: DictConfig) -> "TrialLayout":
        """Return the layout of a trial with this config."""
        subdir = job_subdir(config)
        with as_hydra_config(config):
            output_subdir = config.hydra.output_subdir
        return TrialLayout(subdir, None if output_subdir is None else str(output_subdir))

    @staticmethod
    def recorded(trial: FrozenTrial) -> "TrialLayout | None":
        """Return the layout that a worker has recorded, or None if it has recorded none."""
        match trial.user_attrs.get(LAYOUT_KEY):
            case [str(subdir), str() | None as output_subdir]:
                return TrialLayout(subdir, output_subdir)
        return None

    def record(self) -> list[str | None]:
        """Return the layout as JSON."""
        return [self.subdir, self.output_subdir]


def with_own_folder(
    layout: TrialLayout, number: int, study_folder: Path, others: Iterable[FrozenTrial]
) -> TrialLayout:
    """Return the layout of trial `number`, in a folder that is not that of the study or a trial.

    Two trials in one folder would overwrite each other's checkpoints.
    """
    folder, home = (study_folder / layout.subdir).resolve(), study_folder.resolve()
    if folder in (home, *home.parents):
        return replace(layout, subdir=str(Path(layout.subdir) / str(number)))
    places = filter(None, map(_place, others))
    if any((study_folder / place).resolve() == folder for place in places):
        return replace(layout, subdir=f"{layout.subdir}-{number}")
    return layout


def _place(trial: FrozenTrial) -> str | None:
    """Return the folder of a trial relative to that of the study; None if it has not begun."""
    recorded = TrialLayout.recorded(trial)
    if recorded is not None:
        return recorded.subdir
    has_begun = trial.state.is_finished() or Lease.read(trial.system_attrs) is not None
    return str(trial.number) if has_begun else None


def record_layout(storage: BaseStorage, claim: Claim, layout: TrialLayout) -> None:
    """Record the layout of a claimed trial, unless the study knows it already."""
    usual = TrialLayout(str(claim.number))
    earlier = TrialLayout.recorded(storage.get_trial(claim.trial_id)) if claim.attempt else None
    if layout != (earlier or usual):
        storage.set_trial_user_attr(claim.trial_id, LAYOUT_KEY, layout.record())


def layout_of(trial: FrozenTrial, study_folder: Path, live: LiveSpace) -> TrialLayout:
    """Return the layout of a trial that has run.

    A study of an earlier version has recorded none, so it is composed if the usual one is not
    there.
    """
    recorded, usual = TrialLayout.recorded(trial), TrialLayout(str(trial.number))
    if recorded is not None or (study_folder / usual.subdir / HYDRA_OUTPUT_SUBDIR).is_dir():
        return recorded or usual
    try:
        params = live.by_key(trial.params)
        layout = TrialLayout.of(live.composer.compose(params, trial.number, study_folder))
    except Exception:  # the config may have changed since, in any way
        return usual
    return layout if (study_folder / layout.subdir).is_dir() else usual


def has_files(folder: Path, config: DictConfig) -> bool:
    """Return whether the task has written files to its folder; those of Hydra do not count."""
    subdir = TrialLayout.of(config).output_subdir
    names = {OUTPUT_FILE, f"{config.hydra.job.name}.log", *Path(subdir or "").parts[:1]}
    files = (path for path in folder.rglob("*") if path.is_file())
    return any(path.relative_to(folder).parts[0] not in names for path in files)
