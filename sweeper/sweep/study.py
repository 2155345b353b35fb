"""Opening a study: created once, remembered, and refused when it no longer is the same search."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeper.errors import ConfigError

SEARCH_KEY = "sweeper:search"
PARENT_KEY = "sweeper:parent_id"


@dataclass(frozen=True)
class Search:
    """What makes two commands the same search; all of it JSON.

    `space` maps keys to distributions, `fixed` are the other overrides, `options` the config
    groups' choices (the data set among them).
    """

    space: Mapping[str, Any]
    directions: tuple[str, ...]
    fixed: tuple[str, ...]
    options: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """Return the search as a flat mapping of lines to show and compare."""
        lines = {f"space {k}": v for k, v in self.space.items()}
        lines |= {f"option {k}": v for k, v in self.options.items()}
        lines |= {f"override {o.partition('=')[0]}": o for o in self.fixed}
        return lines | {"direction": ", ".join(self.directions)}

    def short_hash(self) -> str:
        """Return eight hexadecimal digits that tell this search from others."""
        text = json.dumps(self.record(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class PulledStudy(optuna.Study):
    """A study whose samplers may say that they are done; the budget decides, not they."""

    def stop(self) -> None:
        """Do nothing: Optuna's own refuses to be called outside its optimize loop."""


def open_study(
    name: str,
    storage: BaseStorage,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
) -> PulledStudy:
    """Open an existing study for asking and telling."""
    return PulledStudy(study_name=name, storage=storage, sampler=sampler, pruner=pruner)


def create_study(name: str, storage: BaseStorage, search: Search) -> None:
    """Create the study, or check that an existing one is this very search.

    Raises ConfigError with the differences and the two ways out.
    """
    directions = [StudyDirection[d.upper()] for d in search.directions]
    existing = next((s for s in storage.get_all_studies() if s.study_name == name), None)
    if existing is None:
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
        study.set_user_attr(SEARCH_KEY, search.record())
        return
    known = existing.user_attrs.get(SEARCH_KEY)
    if known is None:
        known = {"direction": ", ".join(d.name.lower() for d in existing.directions)}
        _refuse(name, known, {"direction": ", ".join(search.directions)})
        optuna.load_study(study_name=name, storage=storage).set_user_attr(
            SEARCH_KEY, search.record()
        )
        return
    _refuse(name, known, search.record())


def set_aside(name: str, storage: BaseStorage, folder: Path) -> None:
    """Give a database's study of this name, if there is one, and its folder a dated name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    if name in {s.study_name for s in storage.get_all_studies()}:
        optuna.copy_study(
            from_study_name=name,
            from_storage=storage,
            to_storage=storage,
            to_study_name=f"{name}.{stamp}",
        )
        optuna.delete_study(study_name=name, storage=storage)
    set_folder_aside(folder, stamp)


def set_folder_aside(folder: Path, stamp: str | None = None) -> None:
    """Give a study's folder, if there is one, a dated name; a journal in it goes along."""
    if folder.exists():
        stamp = stamp or datetime.now().strftime("%Y%m%d-%H%M%S")
        shutil.move(folder, folder.with_name(f"{folder.name}.{stamp}"))


def count_by_state(trials: Iterable[optuna.trial.FrozenTrial]) -> dict[TrialState, int]:
    """Count trials by state; every state is a key."""
    states = [t.state for t in trials]
    return {state: states.count(state) for state in TrialState}


def _refuse(name: str, known: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    keys = [k for k in sorted({*known, *now}) if known.get(k) != now.get(k)]
    if keys:
        shown = "; ".join(f"{k}: {known.get(k, 'none')} -> {now.get(k, 'none')}" for k in keys)
        raise ConfigError(
            f"study {name} was another search ({shown}): take another name with "
            "hydra.sweeper.study_name=NAME, or set the old one aside with "
            "hydra.sweeper.study=fresh"
        )
