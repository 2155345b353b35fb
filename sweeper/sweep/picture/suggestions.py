"""What to try after a study, as far as its trials show it."""

import math
from collections.abc import Iterator, Sequence

from sweeper.figures.study.ticks import number_text
from sweeper.figures.study.view import Parameter, StudyView, TrialView, value_text
from sweeper.sweep.picture.importances import FEWEST, SURE
from sweeper.text import epochs_text, listed

EDGE = 0.1
"""How near to its end a value lies at the edge of a range, as a fraction of the range."""
NEAR_EDGE = 1 / 3
"""The part of a range in which at least half of the best trials lie, if they point beyond it."""
NEGLIGIBLE = 0.02
"""The importance below which a parameter need not be searched."""
STILL_IMPROVING = 0.02
"""The part of a curve's whole gain that its last third brings, if more epochs may bring more."""
LATE = 0.75
"""The part of the trials after which a best trial came late."""


def advice(view: StudyView, has_race: bool = False) -> list[str]:
    """Return what to try next in sentences, the most telling one first.

    has_race: whether the finalists of the study were compared with more seeds.
    """
    n_valued = len(view.valued)
    if not n_valued:
        is_failure = "failed" in view.counts
        head = "Find out why the trials failed" if is_failure else "Run trials"
        return [f"{head}: none has a value."]
    found = [*_failures(view)]
    if "complete" not in view.counts:
        found.append("Run the study on: no trial is complete.")
    if n_valued >= FEWEST:
        found += [*_edges(view), *_epochs(view), *_late(view), *_negligible(view)]
    else:
        found += _epochs(view)
        number = "one is" if n_valued == 1 else f"{n_valued} are"
        found.append(f"Run more trials: {number} too few to say what mattered.")
    if not has_race:
        found += _ties(view)
    return found or [
        "Nothing points beyond this space: no best value lies at the edge of its range."
    ]


def _failures(view: StudyView) -> Iterator[str]:
    n_failed, n = view.counts.get("failed", 0), len(view.trials)
    if n_failed:
        yield f"{n_failed} of {n} trials failed: find out why before you search on."


def _edges(view: StudyView) -> Iterator[str]:
    """Yield the parameters whose best values lie at an edge of their range."""
    best, top = view.best_trial, _top(view)
    if best is None or len(top) < 2:
        return
    for parameter in view.parameters:
        if view.importances.get(parameter.name, 0.0) < NEGLIGIBLE:
            continue
        if parameter.choices:
            yield from _edge_of_choices(parameter, best, top)
        else:
            yield from _edge_of_range(parameter, best, top)


def _edge_of_range(
    parameter: Parameter, best: TrialView, top: Sequence[TrialView]
) -> Iterator[str]:
    places = {"below": [_place(parameter, t) for t in (best, *top)]}
    places["above"] = [1 - place for place in places["below"]]
    for side, (at, *others) in places.items():
        n_near = sum(place <= NEAR_EDGE for place in others)
        if at > EDGE or n_near < len(top) / 2 or _is_natural(parameter, side):
            continue
        end = parameter.low if side == "below" else parameter.high
        value = value_text(best.params.get(parameter.name))
        yield (
            f"Widen {parameter.name} {side} {number_text(end)}: the best trial has {value}, and "
            f"{n_near} of the best {len(top)} trials lie near that end."
        )


def _is_natural(parameter: Parameter, side: str) -> bool:
    """Return whether a range may end where the values do, as that of a probability or a count."""
    if side == "below":
        return parameter.low == 0 or (parameter.integer and parameter.low <= 1)
    return parameter.high == 1 and parameter.low >= 0 and not parameter.integer


def _edge_of_choices(
    parameter: Parameter, best: TrialView, top: Sequence[TrialView]
) -> Iterator[str]:
    """Yield a sentence if the best value is the lowest or the highest one of several numbers."""
    choices, value = parameter.choices, best.params.get(parameter.name)
    if not all(isinstance(c, int | float) and not isinstance(c, bool) for c in choices):
        return
    n_same = sum(trial.params.get(parameter.name) == value for trial in top)
    ends = {choices[0]: ("below", "lowest"), choices[-1]: ("above", "highest")}
    if value not in ends or n_same < len(top) / 2 or value in (0, 1):
        return
    side, word = ends[value]
    yield (
        f"Try {parameter.name} {side} {value_text(value)}: it is the {word} value, and "
        f"{n_same} of the best {len(top)} trials have it."
    )


def _epochs(view: StudyView) -> Iterator[str]:
    """Yield a sentence if the best trial was still improving at its end."""
    best = view.best_trial
    if best is None or len(view.metrics) > 1:
        return
    curve = [(epochs, value) for epochs, value in best.curve if math.isfinite(value)]
    if len(curve) < 3:
        return
    pick = max if view.maximize[0] else min
    values = [value for _, value in curve]
    third = max(1, len(curve) // 3)
    before, reached = pick(values[:-third]), pick(values)
    gain, whole = abs(reached - before), max(values) - min(values)
    is_at_end = reached in values[-max(1, len(curve) // 10) :]
    if is_at_end and whole > 0 and gain >= STILL_IMPROVING * whole:
        n, length = len(curve) - third, curve[-1][0]
        yield (
            f"Train longer, such as {math.ceil(1.5 * length)} epochs: trial {best.number} still "
            f"improved, from {number_text(before, 4)} after {epochs_text(curve[n - 1][0])} "
            f"to {number_text(reached, 4)} at its end."
        )


def _late(view: StudyView) -> Iterator[str]:
    """Yield a sentence if the best trial is one of the last."""
    if view.best is None or len(view.metrics) > 1:
        return
    numbers = [trial.number for trial in view.trials]
    place = numbers.index(view.best) + 1
    if place > LATE * len(numbers):
        yield f"Run more trials: the best one came late, as number {place} of {len(numbers)}."


def _negligible(view: StudyView) -> Iterator[str]:
    """Yield the parameters that made no difference, if there are enough trials to tell."""
    if len(view.valued) < SURE:
        return
    names = [name for name, share in view.importances.items() if share < NEGLIGIBLE]
    if names:
        shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} others"]
        each = "its importance is" if len(names) == 1 else "each has an importance"
        yield f"Fix {listed(shown)}: {each} below {NEGLIGIBLE:.0%}."


def _ties(view: StudyView) -> Iterator[str]:
    """Yield a sentence if several complete trials share the best value."""
    best = view.best_trial
    if best is None or len(view.metrics) > 1:
        return
    complete = [trial for trial in view.valued if trial.state == "complete"]
    n_same = sum(trial.values[0] == best.values[0] for trial in complete)
    if n_same == len(complete) >= FEWEST:
        yield (
            f"Search something else, or choose another metric: all {n_same} complete trials have "
            "the same value."
        )
    elif n_same > 1:
        yield (
            f"Compare the best {n_same} trials with more seeds (hydra.sweeper.finalists={n_same}): "
            "they have the same value."
        )


def _top(view: StudyView) -> list[TrialView]:
    """Return the best trials: a fifth, but 3 at least and 10 at most; or the Pareto front."""
    if len(view.metrics) > 1:
        return [trial for trial in view.valued if trial.number in view.front]
    return view.ranked[: min(max(3, math.ceil(len(view.ranked) / 5)), 10)]


def _place(parameter: Parameter, trial: TrialView) -> float:
    """Return where in its range the value of a trial lies; in the middle if it has none."""
    value = trial.params.get(parameter.name)
    return 0.5 if value is None else parameter.position(value)
