"""The trials of a study by their parameters, so that a repeated point is found at once."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from sweeper.space.same_point import point_key, same_point


class PointIndex:
    """The finished trials of one study by their parameters, which do not change any more.

    Only trials that were not finished at the last look are looked at again, so that a study of
    thousands of trials is searched as quickly as a small one.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, list[int]] = {}
        self._open: list[int] = []
        self._n_seen = 0

    def with_params(
        self, trials: Sequence[FrozenTrial], params: Mapping[str, Any]
    ) -> list[FrozenTrial]:
        """Return the trials with these parameters, in the order of their numbers.

        `trials` are all trials of the study, each at the position of its number.
        """
        self._update(trials)
        numbers = list(self._numbers.get(point_key(params), ()))
        numbers += [n for n in self._open if same_point(trials[n].params, params)]
        return [trials[n] for n in sorted(numbers)]

    def _update(self, trials: Sequence[FrozenTrial]) -> None:
        still_open = []
        for number in (*self._open, *range(self._n_seen, len(trials))):
            if trials[number].state.is_finished():
                key = point_key(trials[number].params)
                self._numbers.setdefault(key, []).append(number)
            else:
                still_open.append(number)
        self._open, self._n_seen = still_open, max(self._n_seen, len(trials))
