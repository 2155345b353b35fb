"""The rule of the sweeper: promotion, and a race of the trials that have passed the last rung."""

from dataclasses import dataclass, field

from simulation.clock import Study, Trial
from simulation.promotion import Promotion
from simulation.tables import Table


@dataclass
class Race(Promotion):
    """Promotion whose foremost trials race for `finish` places.

    After each epoch beyond the last rung, or each twentieth of a long trial, a trial is paused
    unless it is among the best `finish` of those that have come as far. One trial more than that
    comes into the race.
    """

    capped: bool = True
    going_on: list[Trial] = field(default_factory=list)
    fell_behind: set[Trial] = field(default_factory=set)

    def stops(self, table: Table) -> list[int]:
        *rungs, end = super().stops(table)
        return [*rungs, *self._race(table), end]

    def next(self, study: Study) -> Trial | None:
        return self.going_on.pop() if self.going_on else super().next(study)

    def arrived(self, study: Study, trial: Trial) -> None:
        look = study.reached[trial]
        if look not in self._race(study.table):
            super().arrived(study, trial)
            return
        own = self._best_until(study, trial, look)
        others = [o for o, reached in study.reached.items() if o != trial and reached >= look]
        if sum(self._best_until(study, o, look) > own for o in others) < self.finish:
            self.going_on.append(trial)
            return
        rung = self.stops(study.table).index(look)
        self.values[trial, rung], self.paused[trial] = own, rung
        self.fell_behind.add(trial)

    def _race(self, table: Table) -> list[int]:
        """Return the looks at which the race is decided."""
        last, step = self.rungs(table)[-1], max(1, round(table.epochs / 20))
        positions = range(int(last) + step, table.epochs, step)
        return [table.at.index(float(position)) for position in positions]

    def _best_until(self, study: Study, trial: Trial, look: int) -> float:
        return max(study.curves[trial][w] for w in study.table.whole_epochs if w <= look)

    def _missing(self, study: Study) -> int:
        """Return how many trials are still to come into the race; those that run count as such."""
        spare = 1 if self._race(study.table) else 0
        n_behind = len(self.fell_behind & self.paused.keys())
        return self.finish + spare - len(study.complete) - n_behind

    def _can_be_deepened(self, trial: Trial, is_missing: bool) -> bool:
        return not is_missing or trial not in self.fell_behind
