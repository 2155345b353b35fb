"""What a trial has reported so far, and how far it may run.

Optuna's reports have whole steps. Values from within an epoch, at fractional steps, lie beside them
in a system attribute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

PLACE_KEY = "sweeper:place"
LOOKS_KEY = "sweeper:looks"
# The values of the config keys that a later command may raise, when the trial ran last.
GROWN_KEY = "sweeper:grown"
# Numbers that tell the order of all pauses and ends in a study: that of a trial's last pause, and
# that of its end. Times do not tell it, because the clocks of hosts may disagree.
PAUSE_ORDER_KEY = "sweeper:pause_order"
END_ORDER_KEY = "sweeper:end_order"
# A trial's last step, where its reports are not kept because it has several objectives.
STEP_KEY = "sweeper:step"

Look = tuple[float, float]
"""A position in epochs, and the value there."""


@dataclass(frozen=True)
class Stretch:
    """A time in which a worker ran a trial, until it put the trial back.

    Args:
        start: Its start, in seconds since 1970.
        end: Its end, in seconds since 1970.
        worker: Name of the worker: its host and process.
        is_pause: True if the trial was paused then; False if its worker was asked to leave.
        order: The place of that pause among all pauses and ends in the study, from 1; 0 if it is
            none, or an earlier version wrote it.
        epochs: How far the trial had come; None if an earlier version wrote it.
        after_stop: True if the trial was promoted though the stop rule had ended the study.
    """

    start: float
    end: float
    worker: str
    is_pause: bool = True
    order: int = 0
    epochs: float | None = None
    after_stop: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return max(0.0, self.end - self.start)


@dataclass(frozen=True)
class Place:
    """How far a trial may run, and whether it waits there for its promotion.

    Args:
        decided_at: Position, in epochs, at which the study let it go on last; 0 if it has not yet.
            The next decision is due at the first rung beyond. A number of a rung would not do,
            because rungs move when trials become longer.
        is_paused: True if it waits at a rung.
        length: Number of epochs of the whole trial; None if the task has not told it.
        stretches: The times in which it ran before it was put back.
        started: When its current worker took it over from one that died, in seconds since 1970.
        untimed: Number of epochs that were run by workers that died, in a time that is not known.
        after_stop: True if it was promoted last though the stop rule had ended the study.
    """

    decided_at: float = 0.0
    is_paused: bool = False
    length: float | None = None
    stretches: tuple[Stretch, ...] = ()
    started: float | None = None
    untimed: float = 0.0
    after_stop: bool = False

    @property
    def n_pauses(self) -> int:
        """Number of times that it was paused."""
        return sum(stretch.is_pause for stretch in self.stretches)

    @staticmethod
    def of(trial: FrozenTrial) -> "Place":
        """Return the place of a trial."""
        record = trial.system_attrs.get(PLACE_KEY)
        if not record:
            return Place()
        place = Place(**_known(Place, record))
        if record.get("target") and not place.decided_at:
            # An earlier version wrote the number of the rung at which the next decision is due, and
            # not where that rung lies. The last decision was at the last value, or before it.
            place = replace(place, decided_at=epochs_of(trial))
        stretches = (Stretch(**_known(Stretch, each)) for each in record.get("stretches", ()))
        return replace(place, stretches=tuple(stretches))

    def record(self) -> dict[str, Any]:
        """Return the place as JSON."""
        return asdict(self) | {"stretches": [asdict(s) for s in self.stretches]}


def _known(kind: type[Place] | type[Stretch], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record that this version knows; others may have further ones."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in record.items() if name in names}


def is_paused(trial: FrozenTrial) -> bool:
    """Return whether a trial waits at a rung for its promotion."""
    return trial.state == TrialState.WAITING and Place.of(trial).is_paused


def was_promoted(trial: FrozenTrial) -> bool:
    """Return whether a trial was paused and taken up again."""
    n_pauses = Place.of(trial).n_pauses
    return n_pauses > 1 or (n_pauses == 1 and not is_paused(trial))


def taken_over(trial: FrozenTrial, progress: int, now: float) -> Place:
    """Return the place of a trial whose worker died, once another worker has it.

    `progress` is that of the trial when the dead worker began, see `progress_of`; `now` is in
    seconds since 1970.
    """
    place, curve = Place.of(trial), curve_of(trial)
    untimed = _last_position(curve) - _last_position(curve[:progress])
    return replace(place, is_paused=False, started=now, untimed=place.untimed + untimed)


def curve_of(trial: FrozenTrial) -> list[Look]:
    """Return the values that a trial has reported, in order.

    Its whole steps count as epochs, whatever their numbers are: an application may count from 0,
    or report every hundred updates.
    """
    values = trial.intermediate_values
    whole = [(float(i), values[step]) for i, step in enumerate(sorted(values), start=1)]
    looks = [(float(epochs), float(value)) for epochs, value in looks_of(trial.system_attrs)]
    return sorted([*whole, *looks])


def looks_of(system_attrs: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    """Return the values from within epochs, each with its position."""
    looks: Sequence[Sequence[float]] = system_attrs.get(LOOKS_KEY, ())
    return looks


def epochs_of(trial: FrozenTrial) -> float:
    """Return the number of epochs after which a trial reported its last value; 0 without one."""
    return _last_position(curve_of(trial))


def _last_position(curve: Sequence[Look]) -> float:
    return curve[-1][0] if curve else 0.0


def progress_of(trial: FrozenTrial) -> int:
    """Return a number that grows with each step that the trial reports for the first time."""
    last_step = trial.system_attrs.get(STEP_KEY)
    return len(curve_of(trial)) if last_step is None else int(last_step) + 1


def seconds_of(trial: FrozenTrial, now: float) -> float:
    """Return for how many seconds a trial has run, without the times in which it waited.

    A time that ended with the death of its worker is not known, and left out. `now` is in seconds
    since 1970.
    """
    place, start = Place.of(trial), start_of(trial)
    seconds = sum(stretch.seconds for stretch in place.stretches)
    if trial.state != TrialState.WAITING and start is not None:
        end = now if trial.datetime_complete is None else trial.datetime_complete.timestamp()
        seconds += max(0.0, end - start)
    return seconds


def start_of(trial: FrozenTrial) -> float | None:
    """Return when the last worker of a trial began with it, in seconds since 1970."""
    started = Place.of(trial).started
    # Optuna sets the time anew when a waiting trial is run, but not when a worker is replaced.
    if started is not None or trial.datetime_start is None:
        return started
    return trial.datetime_start.timestamp()


def end_of(trial: FrozenTrial) -> float | None:
    """Return when a trial has ended or was paused, in seconds since 1970; None if it goes on."""
    if trial.datetime_complete is not None:
        return trial.datetime_complete.timestamp()
    return Place.of(trial).stretches[-1].end if is_paused(trial) else None


def end_order(trial: FrozenTrial) -> tuple[int, float, int]:
    """Return a key that sorts finished trials in the order in which they ended.

    Those that another version or program has ended come first, in the order of their times.
    """
    return trial.system_attrs.get(END_ORDER_KEY, 0), end_of(trial) or 0.0, trial.number


def pauses_of(trial: FrozenTrial) -> list[tuple[tuple[int, float, int], Sequence[Look], bool]]:
    """Return a key for each pause of a trial, what it had reported, and its `after_stop` then.

    The keys sort among those of `end_order`. Of what an earlier version wrote, the time of the last
    pause and the whole curve stand for what is not known.
    """
    curve, last = curve_of(trial), trial.system_attrs.get(PAUSE_ORDER_KEY, 0)
    found: list[tuple[tuple[int, float, int], Sequence[Look], bool]] = []
    for stretch in Place.of(trial).stretches:
        if stretch.is_pause:
            end = stretch.epochs
            until = [look for look in curve if end is None or look[0] <= end]
            key = stretch.order or last, stretch.end, trial.number
            found.append((key, until, stretch.after_stop))
    return found
