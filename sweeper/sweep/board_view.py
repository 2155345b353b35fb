"""The picture of a running study as lines of text: its counts, its best trials, its running trials.

The lines are cut to the width of the terminal, so that none of them wraps.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.counts import Counts
from sweeper.sweep.curve import Place, curve_of, is_paused
from sweeper.sweep.finals.final_job import FinalJob
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.stop_rule import is_feasible
from sweeper.text import duration, printable, shortened

N_BEST = 5
BAR_WIDTH = 24
CURVE_WIDTH = 12
FIXED_LINES = 8 + N_BEST
"""The lines above and between the running trials."""

BLOCKS, PLAIN_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*#@"


@dataclass(frozen=True)
class Frame:
    """What the picture needs beside the trials.

    Args:
        maximize: Whether a higher value is better, for each objective.
        n_trials: Budget; None if there is no limit.
        seconds: Seconds since the command began to run trials.
        n_tried: Number of trials that were tried since then.
        seconds_left: Seconds until the time limit of the command; None without one.
        pauses: True if trials may be paused.
        unicode: True if the terminal can show blocks.
    """

    maximize: Sequence[bool]
    n_trials: int | None = None
    seconds: float = 0.0
    n_tried: int = 0
    seconds_left: float | None = None
    pauses: bool = False
    unicode: bool = True


def picture(
    frame: Frame,
    trials: Sequence[FrozenTrial],
    jobs: Sequence[FrozenTrial] = (),
    width: int = 80,
    height: int = 40,
) -> list[str]:
    """Return the picture of a study and of the jobs that follow the search."""
    counts = Counts.of(trials, frame.pauses)
    names = short_names(varied_first(trials))
    running = [t for t in trials if t.state == TrialState.RUNNING]
    lines = [
        _bar_line(frame, counts),
        _counts_line(frame, counts),
        *_leaders(frame, trials, names),
        *_running(frame, running, jobs, names, max(2, height - FIXED_LINES)),
    ]
    return _cut(lines, frame, width)


def leaderboard(frame: Frame, trials: Sequence[FrozenTrial], width: int = 80) -> list[str]:
    """Return the best trials with their parameters."""
    names = short_names(varied_first(trials))
    return _cut(_leaders(frame, trials, names), frame, width)


def _cut(lines: Iterable[str], frame: Frame, width: int) -> list[str]:
    dots = "…" if frame.unicode else "..."
    return [shortened(printable(line), width - 1, dots) for line in lines]


def best_of(frame: Frame, trials: Iterable[FrozenTrial], objective: int = 0) -> list[FrozenTrial]:
    """Return the complete trials that meet the constraints, the best in an objective first."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE and is_feasible(t)]
    sign = -1 if frame.maximize[objective] else 1
    return sorted(complete, key=lambda t: (sign * t.values[objective], t.number))


def varied_first(trials: Iterable[FrozenTrial]) -> list[str]:
    """Return the names of the parameters, those with the most values first.

    A line that is cut loses its end, where all trials are most alike.
    """
    values: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(str(value))
    return sorted(values, key=lambda name: -len(values[name]))


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the last part of each key, or the whole key if two would have the same."""
    ends = {name: name.rpartition(".")[2] for name in names}
    n_with = Counter(ends.values())
    return {name: end if n_with[end] == 1 else name for name, end in ends.items()}


def params_text(params: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Return parameters as `lr=0.01 kernel_size=3`; `names` has their short names, in order."""
    shown = {name: name for name in params} if names is None else names
    pairs = ((short, params[name]) for name, short in shown.items() if name in params)
    return " ".join(f"{k}={f'{v:.4g}' if isinstance(v, float) else v}" for k, v in pairs)


def sparkline(values: Sequence[float], unicode: bool = True, width: int = CURVE_WIDTH) -> str:
    """Return a curve as one character a value, from the lowest to the highest one.

    A longer curve is thinned out; its last value is kept.
    """
    finite = [value for value in values if value - value == 0]
    if not finite:
        return ""
    n = len(finite)
    thinned = finite if n <= width else [finite[(i + 1) * n // width - 1] for i in range(width)]
    blocks, low, span = BLOCKS if unicode else PLAIN_BLOCKS, min(thinned), max(thinned)
    span -= low
    top = len(blocks) - 1
    return "".join(blocks[round((v - low) / span * top) if span else top // 2] for v in thinned)


def _bar_line(frame: Frame, counts: Counts) -> str:
    # A worker that has joined may have a larger budget.
    total = None if frame.n_trials and counts.done > frame.n_trials else frame.n_trials
    full, empty = ("━", "─") if frame.unicode else ("#", "-")
    filled = round(BAR_WIDTH * counts.done / total) if total else 0
    bar = f"{full * filled}{empty * (BAR_WIDTH - filled)}  " if total else ""
    number = f"{counts.done} of {total} trials" if total else f"{counts.done} trials"
    return f"{bar}{number}  {_time_text(frame, counts)}"


def _time_text(frame: Frame, counts: Counts) -> str:
    """Return the time so far, and the time that is left as far as it can be told."""
    spent = duration(frame.seconds)
    left = [] if frame.seconds_left is None else [frame.seconds_left]
    if frame.n_trials is not None and frame.n_tried:
        n_remaining = max(0, frame.n_trials - counts.done)
        left.append(n_remaining * frame.seconds / frame.n_tried)
    if frame.n_trials is not None and counts.done >= frame.n_trials:
        return f"{spent}, finishing"
    return f"{spent}, about {duration(min(left))} left" if left else spent


def _counts_line(frame: Frame, n: Counts) -> str:
    paused = f"{n.paused} paused, " if frame.pauses else ""
    rate = 60 * frame.n_tried / frame.seconds if frame.seconds and frame.n_tried else 0
    return f"{n.done} done, {n.running} running, {paused}{n.pruned} pruned, {n.failed} failed" + (
        f"; {rate:.1f} trials per minute" if rate else ""
    )


def _leaders(frame: Frame, trials: Sequence[FrozenTrial], names: Mapping[str, str]) -> list[str]:
    """Return the best trials; with several objectives, the best one in each of them.

    Trials that run or wait for their promotion follow those that are complete.
    """
    if len(frame.maximize) > 1:
        first = [best_of(frame, trials, i)[:1] for i in range(len(frame.maximize))]
        leaders = [trial for best in first for trial in best]
    else:
        leaders = [*best_of(frame, trials), *_going_of(frame, trials)][:N_BEST]
    if not leaders:
        return []
    best = leaders[0]
    head = f"best {last_value_text(best)} in trial {best.number}"
    rows = [
        f"{rank:3}  {last_value_text(t):>10}  {t.number:5}  {_epoch_text(t):>7}  "
        f"{params_text(t.params, names)}"
        for rank, t in enumerate(leaders, start=1)
    ]
    return [head, "", f"top  {'value':>10}  trial   epochs  parameters", *rows]


def _going_of(frame: Frame, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that run or wait for their promotion, the best last value first."""
    sign = -1 if frame.maximize[0] else 1
    going = [t for t in trials if t.state == TrialState.RUNNING or is_paused(t)]
    reported = [t for t in going if curve_of(t)]
    return sorted(reported, key=lambda t: (sign * curve_of(t)[-1][1], t.number))


def last_value_text(trial: FrozenTrial) -> str:
    """Return the values of a trial, or the last one that it has reported."""
    if trial.values:
        return values_text(trial)
    curve = curve_of(trial)
    return f"{curve[-1][1]:.6g}" if curve else ""


def _epoch_text(trial: FrozenTrial) -> str:
    """Return how many epochs a trial has run, of how many: `2/20`."""
    curve, length = curve_of(trial), Place.of(trial).length
    if not curve:
        return ""
    return f"{curve[-1][0]:g}" + (f"/{length:g}" if length else "")


def _running(
    frame: Frame,
    running: Sequence[FrozenTrial],
    jobs: Sequence[FrozenTrial],
    names: Mapping[str, str],
    n_lines: int,
) -> list[str]:
    rows = [_running_row(frame, t, f"{t.number}", names) for t in running]
    rows += [
        _running_row(frame, job, FinalJob.of(job).text, names)
        for job in jobs
        if job.state == TrialState.RUNNING
    ]
    if not rows:
        return ["", "no trial is running yet"] if not frame.n_tried else []
    more = [f"  and {len(rows) - n_lines} more"] if len(rows) > n_lines else []
    curve = "curve".ljust(CURVE_WIDTH)
    head = f"now running   epochs     value  {curve}  parameters"
    return ["", head, *rows[:n_lines], *more]


def _running_row(frame: Frame, trial: FrozenTrial, label: str, names: Mapping[str, str]) -> str:
    values = [value for _, value in curve_of(trial)]
    drawn = sparkline(values, frame.unicode).ljust(CURVE_WIDTH)
    return (
        f"{label:>11}  {_epoch_text(trial):>7}  {last_value_text(trial):>8}  {drawn}  "
        f"{params_text(trial.params, names)}"
    )
