"""A race of finalists over seeds: the worse ones are dropped once a test separates them.

The best of many trials is partly lucky, so finalists are compared by runs with further seeds, which
did not select them. A seed is a split of the data too, so two finalists are compared by the
differences of their values for the same seeds: Student's paired t-test (Bouthillier et al.,
"Accounting for variance in machine learning benchmarks", MLSys 2021). Dropping finalists on the way
is a race (Maron and Moore, "Hoeffding races", NIPS 1993).

A p value is corrected for all that could go wrong. The best one is known from the same data, so
Holm's correction counts all pairs of finalists (Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 6, 1979). Each seed from the third on is another
look at the data (Armitage, McPherson and Rowe, "Repeated significance tests on accumulating data",
Journal of the Royal Statistical Society A 132, 1969): the last look has half of the level, and the
others share the other half (Bonferroni). So the chance that luck alone drops a finalist is at most
`LEVEL` in a study, if differences are normal.

A finalist whose run fails takes no part. What it had won is void, so the race of the others is
judged anew, and those that were dropped because of it may come back.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, takewhile

LEVEL = 0.05
FIRST_LOOK = 3  # with two seeds, the deviation of their difference is hardly known

Values = Mapping[int, float | None]
"""The value of a finalist for each of its runs, by the index of the seed; None if it failed."""


@dataclass(frozen=True)
class FinalPlace:
    """The place of a finalist.

    Args:
        trial: Number of the trial.
        values: Values for the first seeds, as many as count.
        p: Corrected p value of the difference to the best one at that time; None for the winner,
            and for a finalist whose run failed.
        is_behind: True if a test has separated it from the best one, or a run failed.
    """

    trial: int
    values: tuple[float, ...]
    p: float | None = None
    is_behind: bool = False

    @property
    def has_failed(self) -> bool:
        """True if one of its runs failed."""
        return self.is_behind and self.p is None

    @property
    def mean(self) -> float | None:
        """The mean of the values; None without any."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the values; None for less than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Race:
    """A race as far as it has come.

    Args:
        places: The finalists, the best first; empty while runs are missing.
        runs: The runs that are missing, as trial and index of the seed, in the order in which they
            are to be run.
    """

    places: tuple[FinalPlace, ...] = ()
    runs: tuple[tuple[int, int], ...] = ()


def race(values: Mapping[int, Values], n_seeds: int, maximize: bool) -> Race:
    """Return the race of the finalists in `values`, which are ordered as the search ranked them.

    The result depends on the values alone, not on the order in which workers have found them.
    """
    racing, behind = list(values), list[FinalPlace]()  # the worst one behind is the first
    for n in looks(n_seeds):
        whole = {t: _first(values[t], n) for t in racing}
        failed = [
            FinalPlace(t, _known(whole[t]), is_behind=True) for t in racing if None in whole[t]
        ]
        if failed:
            out = {place.trial for place in failed}
            others = race({t: values[t] for t in values if t not in out}, n_seeds, maximize)
            return others if others.runs else Race((*others.places, *failed))
        if len(racing) > 1 and any(len(whole[t]) < n for t in racing):
            return Race(runs=_missing(racing, values, n_seeds))
        known = {t: _known(whole[t]) for t in racing}
        places = _ranked(known, correction(n, n_seeds), maximize)
        dropped = [p for p in places if p.is_behind]
        behind += reversed(dropped)
        racing = [t for t in racing if t not in {p.trial for p in dropped}]
        if len(racing) < 2:
            break
    return Race((*(p for p in places if not p.is_behind), *reversed(behind)))


def looks(n_seeds: int) -> range:
    """Return the numbers of seeds after which the finalists are compared."""
    return range(min(FIRST_LOOK, n_seeds), n_seeds + 1)


def correction(n: int, n_seeds: int) -> float:
    """Return the factor of p values for the look after `n` of `n_seeds` seeds."""
    n_looks = len(looks(n_seeds))
    if n_looks == 1:
        return 1.0
    return 2.0 if n == n_seeds else 2.0 * (n_looks - 1)


def paired_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p value of Student's t-test for the differences of two samples.

    If all differences are equal, the test of their signs takes its place, because values that are
    counted, such as accuracies, may agree by chance.
    """
    from scipy.special import stdtr  # a few seconds that most studies do not need

    differences = [a - b for a, b in zip(one, other, strict=True)]
    n, mean = len(differences), statistics.fmean(differences)
    scale = max(map(abs, (*one, *other)))
    if abs(mean) <= 1e-12 * scale or n < 2:
        return 1.0
    deviation = statistics.stdev(differences)
    if deviation <= 1e-12 * scale:
        return float(2.0 ** (1 - n))
    return float(2 * stdtr(n - 1, -abs(mean) / deviation * math.sqrt(n)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected by Holm's step-down procedure, in the same order."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(order) - rank) * p_values[index])
        corrected[index] = min(1.0, largest)
    return corrected


def _ranked(
    known: Mapping[int, Sequence[float]], factor: float, maximize: bool
) -> list[FinalPlace]:
    """Return the places of finalists with equally many values, the best first."""
    order = sorted(known, key=lambda t: _rank(known[t], maximize), reverse=True)
    pairs = list(combinations(order, 2))
    p_values = dict(zip(pairs, holm([paired_p(known[a], known[b]) for a, b in pairs]), strict=True))
    places = [FinalPlace(t, tuple(known[t])) for t in order[:1]]
    for trial in order[1:]:
        p = min(1.0, factor * p_values[order[0], trial])
        places.append(FinalPlace(trial, tuple(known[trial]), p, p < LEVEL))
    return places


def _rank(values: Sequence[float], maximize: bool) -> float:
    mean = statistics.fmean(values) if values else -math.inf
    return mean if maximize else -mean


def _first(values: Values, n: int) -> list[float | None]:
    """Return the values of the first `n` seeds, as far as there are any."""
    return [values[seed] for seed in range(n) if seed in values]


def _known(values: Sequence[float | None]) -> tuple[float, ...]:
    """Return the values before the first run that failed."""
    return tuple(v for v in takewhile(lambda value: value is not None, values) if v is not None)


def _missing(
    racing: Sequence[int], values: Mapping[int, Values], n_seeds: int
) -> tuple[tuple[int, int], ...]:
    """Return the missing runs: all finalists with one seed, then with the next."""
    pairs = ((trial, seed) for seed in range(n_seeds) for trial in racing)
    return tuple((trial, seed) for trial, seed in pairs if seed not in values[trial])
