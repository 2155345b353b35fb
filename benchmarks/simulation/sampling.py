"""The points that the trials of a simulated study try: a given list, or those that TPE draws."""

from optuna import create_study
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from simulation.clock import Draw, Study, Trial
from simulation.space import Space
from simulation.stand_in import StandIn
from simulation.tables import Table


def listed(points: list[int]) -> Draw:
    """Return a draw of these points, in this order."""
    following = iter(points)
    return lambda study: next(following)


class TPE:
    """Optuna's TPE over the space of a recorded table, with the arguments of the sweeper.

    A recorded point stands in for the one that was drawn. TPE sees paused and stopped trials as
    pruned ones. It draws the best of `candidates` points.
    """

    def __init__(self, table: Table, seed: int, candidates: int = 2) -> None:
        self._space = Space(table.points)
        self._stand_in = StandIn(table, self._space, seed)
        sampler = TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_ei_candidates=candidates
        )
        self._own = create_study(sampler=sampler, direction="maximize")

    def __call__(self, study: Study) -> int:
        # Trials are changed where they are: that of a new study for each draw would take longer.
        for trial, stored in enumerate(self._stored()):
            self._show(study, trial, stored)
        return self._stand_in(self._space.suggest(self._own.ask()))

    def _stored(self) -> list[FrozenTrial]:
        return self._own._storage.get_all_trials(self._own._study_id, deepcopy=False)

    def _show(self, study: Study, trial: Trial, stored: FrozenTrial) -> None:
        """Let TPE see how far a trial has come."""
        reached = study.reached.get(trial, -1)
        values = zip(study.table.at[: reached + 1], study.curves[trial], strict=False)
        stored.intermediate_values = {round(100 * at): value for at, value in values}
        if trial in study.complete:
            stored.state, stored.value = TrialState.COMPLETE, study.finals[trial]
        else:
            is_running = trial in study.running
            stored.state = TrialState.RUNNING if is_running else TrialState.PRUNED
