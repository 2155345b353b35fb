"""The times in which workers ran the trials of a study, for its timeline."""

from collections.abc import Iterable, Iterator

from optuna.trial import FrozenTrial

from sweeper.figures.study.timeline import Bar
from sweeper.sweep.budget import STATE_WORDS, is_shown
from sweeper.sweep.curve import Place, end_of, start_of
from sweeper.sweep.lease import Lease


def bars_of(trials: Iterable[FrozenTrial]) -> list[Bar]:
    """Return a bar for each time in which a worker ran one of the study's own trials.

    A time that ended with the death of its worker is not known, and left out.
    """
    return [bar for t in trials if is_shown(t) for bar in _bars(t)]


def _bars(trial: FrozenTrial) -> Iterator[Bar]:
    stretches, number = Place.of(trial).stretches, trial.number
    for n_before, s in enumerate(stretches):
        state = "paused" if s.is_pause else "put back"
        yield Bar(s.worker, number, s.start, s.end, state, is_promoted=n_before > 0)
    lease, start, end = Lease.read(trial.system_attrs), start_of(trial), end_of(trial)
    if trial.state in STATE_WORDS and start is not None and end is not None:
        worker = lease.worker if lease else "?"
        yield Bar(worker, number, start, end, STATE_WORDS[trial.state], bool(stretches))
