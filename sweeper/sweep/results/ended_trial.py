"""A trial that has ended: what trains it again, and the folder with its files."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from sweeper.cli.next_steps import PROGRAM
from sweeper.cli.overrides import bare_key, command_line_of
from sweeper.cli.program import program
from sweeper.secrets import masked_uri
from sweeper.space.live import LiveSpace, Params
from sweeper.sweep.attempt import SEED_KEY, first_seed
from sweeper.sweep.budget import THREADS_KEY, THREADS_VARIABLE
from sweeper.sweep.curve import GROWN_KEY
from sweeper.sweep.folder_id import has_files_of
from sweeper.sweep.identity import steers
from sweeper.sweep.lease import Lease
from sweeper.sweep.results.best_folder import link_best_folder, remove_best_folder
from sweeper.sweep.results.deviation import typical_repeat
from sweeper.sweep.results.trial_folder import TrialLayout, layout_of

RUN_ONCE = "hydra.mode=RUN"
NAMES_OF_STUDY = ("run_name", "tags", "tracking.register")
N_THREADS_KEY = "trainer.threads"
"""The key of sweeper's own config for the number of threads."""


@dataclass(frozen=True)
class Retraining:
    """What trains a trial again: overrides for `sweeper.run`, and the command."""

    overrides: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class EndedTrial:
    """A trial that has ended, with the space that its parameters are from."""

    trial: FrozenTrial
    live: LiveSpace

    @property
    def params(self) -> Params:
        """The trial's parameters by config key, and its own numbers that were raised since.

        So the trial is trained again for as many epochs as it had.
        """
        params = self.live.by_key(self.trial.params)
        config = self.live.composer.option_config(self.live.first_point())
        grown = self.trial.user_attrs.get(GROWN_KEY, {})
        raised = {k: n for k, n in grown.items() if OmegaConf.select(config, k) != n}
        return params | raised

    @property
    def overrides(self) -> list[str]:
        """The overrides that give the trial's config."""
        return self.live.composer.overrides(self.params)

    @property
    def again(self) -> Retraining:
        """What trains the trial again; if it has several seeds, the first of them."""
        config = self.live.composer.option_config(self.live.first_point())
        steering = OmegaConf.select(config, "hydra.sweeper.steering") or ()
        lines = self.overrides
        seed = None if SEED_KEY in map(bare_key, lines) else self._seed(0)
        lines += [] if seed is None else [f"{SEED_KEY}={seed}"]
        starts_study, names_threads = self.live.composer.starts_study, self._names_threads()
        started = program(), sys.argv[1:]
        return retraining(self.trial, started, lines, steering, starts_study, names_threads)

    @property
    def seed(self) -> int | None:
        """The seed of the run that stands for the trial; None if it was run with one seed only."""
        return self._seed(typical_repeat(self.trial) or 0)

    def link_best_folder(self, study_folder: Path, others: Sequence[FrozenTrial]) -> None:
        """Make `best/` of the study's folder from the files of this trial.

        Of several seeds, the one whose values are nearest to their mean is taken. If another host
        has the files, there is no `best/`: that of an earlier winner would be taken for this one.
        """
        layout = layout_of(self.trial, study_folder, self.live)
        if not has_files_of(self.trial, study_folder, layout.subdir):
            remove_best_folder(study_folder)
            return
        folder = study_folder / layout.subdir
        seed_folder = folder / f"seed-{self.seed}"
        source = seed_folder if seed_folder.is_dir() else folder
        configs = None if layout.output_subdir is None else source / layout.output_subdir
        recorded = filter(None, map(TrialLayout.recorded, others))
        folders = [study_folder / each.subdir for each in recorded]
        link_best_folder(study_folder, source, configs, folders)

    def foreign_line(self, study_folder: Path) -> str | None:
        """Return the line for a trial that this sweeper has not run; None for one of its own."""
        trial = self.trial
        layout = layout_of(trial, study_folder, self.live)
        is_own = Lease.read(trial.system_attrs) is not None
        if is_own or has_files_of(trial, study_folder, layout.subdir):
            return None
        return (
            f"Trial {trial.number} was run by another program: it has no files here; the command "
            "below trains it"
        )

    def _seed(self, number: int) -> int | None:
        """Return the seed of run `number`; None if the trial was run with one seed only."""
        if typical_repeat(self.trial) is None:
            return None
        try:
            return first_seed(self._config()) + number
        except Exception:  # the config may have changed since, in any way
            return None

    def _names_threads(self) -> bool:
        """Return whether the trial's config has its number of threads; False if there is none."""
        try:
            return OmegaConf.select(self._config(), N_THREADS_KEY) is not None
        except Exception:  # as in `_seed`
            return False

    def _config(self) -> DictConfig:
        params = self.live.by_key(self.trial.params)
        return self.live.composer.compose(params, self.trial.number, Path())


def retraining(
    trial: FrozenTrial,
    started: tuple[Sequence[str], Sequence[str]],
    overrides: Sequence[str],
    steering: Sequence[str],
    starts_study: bool,
    names_threads: bool = False,
) -> Retraining:
    """Return what trains a trial again, without what names its study's run and model.

    Passwords are `***`.

    Args:
        trial: The trial.
        started: The arguments of Python that run the application of its study, and the arguments
            of the application.
        overrides: The overrides that give its config.
        steering: Those of the study, `hydra.sweeper.steering`.
        starts_study: True if the config starts a study unless the command says otherwise.
        names_threads: True if the trial's config has its number of threads (`trainer.threads`).
    """
    of_study = ["study", *(key for key in NAMES_OF_STUDY if steers(key, steering))]
    lines = [masked_uri(line) for line in overrides if not steers(bare_key(line), of_study)]
    once = [RUN_ONCE] if starts_study else []  # `sweeper.run` says so itself
    (application, arguments), threads, prefix = started, _other_threads(trial), ""
    if threads is not None and threads.isdecimal() and [*application] == PROGRAM:
        # No shell of Windows has variables in front of a command.
        lines += [] if names_threads else [f"{N_THREADS_KEY}={threads}"]
    elif threads is not None:
        prefix = f"{THREADS_VARIABLE}={shlex.quote(threads)} "
    command = command_line_of(application, arguments, [*lines, *once])
    return Retraining(tuple(lines), prefix + command)


def _other_threads(trial: FrozenTrial) -> str | None:
    """Return the number of threads that a trial was run with; None if it is that of this process.

    It is the value of a variable of the environment, so it may be any text.
    """
    threads = trial.user_attrs.get(THREADS_KEY)
    same = threads is None or threads == os.environ.get(THREADS_VARIABLE)
    return None if same else str(threads)
