"""The parameters of a trial while they are drawn, before they are written to the study."""

import copy
import math
from collections.abc import Container, Mapping
from typing import Any, cast

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import curve_of, is_paused

STEPS_PER_EPOCH = 10**6  # a sampler compares how far trials have come, by whole numbers
# Optuna's own key: `suggest_*` returns these values instead of sampling.
FIXED_PARAMS_KEY = "fixed_params"


class Draft:
    """A study's storage that keeps back the parameters of one trial until `write`.

    A trial whose parameters turn out to repeat those of another trial can then be drawn again.
    All other reads and writes reach the storage at once. `point` holds parameters by Optuna's names
    that the trial gets instead of drawn ones. If the study pauses trials, `paused_as` is the state
    in which samplers see these, since they know no such state.
    """

    def __init__(
        self,
        storage: BaseStorage,
        trial_id: int,
        point: Mapping[str, Any] | None = None,
        paused_as: TrialState | None = None,
    ) -> None:
        self._storage, self._trial_id, self._paused_as = storage, trial_id, paused_as
        self._drawn: dict[str, tuple[float, BaseDistribution]] = {}
        self._stored = storage.get_trial(trial_id)
        # What samplers write meanwhile. A point that is not used must leave no trace of it.
        self._attrs: dict[str, Any] = {} if point is None else {FIXED_PARAMS_KEY: dict(point)}

    @property
    def fixed(self) -> set[str]:
        """The names of the parameters that are not drawn."""
        attrs = self._stored.system_attrs | self._attrs
        return {*self._stored.params, *attrs.get(FIXED_PARAMS_KEY, {})}

    @property
    def params(self) -> dict[str, Any]:
        """The trial's parameters by Optuna's names, those that the storage has among them."""
        drawn = {name: d.to_external_repr(value) for name, (value, d) in self._drawn.items()}
        return self._stored.params | drawn

    @property
    def is_stored(self) -> bool:
        """True if the storage had all of the trial's parameters before."""
        return not self._drawn

    def study(self, study: Study) -> Study:
        """Return a copy of the study that uses this storage."""
        drafting = copy.copy(study)
        drafting._storage = cast(BaseStorage, self)
        return drafting

    def write(self) -> None:
        """Write what was drawn to the storage."""
        for key, attr in self._attrs.items():
            self._storage.set_trial_system_attr(self._trial_id, key, attr)
        for name, (value, distribution) in self._drawn.items():
            self._storage.set_trial_param(self._trial_id, name, value, distribution)

    def set_trial_param(
        self, trial_id: int, param_name: str, value: float, distribution: BaseDistribution
    ) -> None:
        assert trial_id == self._trial_id
        self._drawn[param_name] = (value, distribution)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if trial_id == self._trial_id:
            self._attrs[key] = value
        else:
            self._storage.set_trial_system_attr(trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id != self._trial_id:
            return self._storage.get_trial(trial_id)
        trial = copy.copy(self._stored)
        drawn = {name: distribution for name, (_, distribution) in self._drawn.items()}
        trial.params, trial.distributions = self.params, trial.distributions | drawn
        trial.system_attrs = trial.system_attrs | self._attrs
        return trial

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if self._paused_as is None:
            return self._storage.get_all_trials(study_id, deepcopy, states)
        trials = self._storage.get_all_trials(study_id, deepcopy)
        seen = [_seen(t, self._paused_as) for t in trials]
        return [t for t in seen if states is None or t.state in states]

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        return self.get_trial(trial_id).system_attrs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_storage":
            raise AttributeError(name)
        return getattr(self._storage, name)


def paused_as(sampler: BaseSampler) -> TrialState:
    """Return the state in which a sampler sees paused trials.

    TPE learns from pruned trials too: it ranks them by how far they came, then by their last value.
    Other samplers learn from complete trials only, which are few where most trials are paused, so
    that they see the last value of a paused trial as its result.
    """
    return TrialState.PRUNED if isinstance(sampler, TPESampler) else TrialState.COMPLETE


def _seen(trial: FrozenTrial, state: TrialState) -> FrozenTrial:
    """Return a trial as samplers see it: a paused one in another state, with its whole curve."""
    has_stopped = is_paused(trial)
    if not has_stopped and trial.state != TrialState.PRUNED:
        return trial
    seen, curve = copy.copy(trial), curve_of(trial)
    values = [(round(epochs * STEPS_PER_EPOCH), value) for epochs, value in curve]
    seen.intermediate_values = dict(values)
    if has_stopped and curve:
        is_complete = state == TrialState.COMPLETE and math.isfinite(curve[-1][1])
        seen.state = state if is_complete else TrialState.PRUNED
        seen.values = [curve[-1][1]] if is_complete else None
    return seen
