"""The account of an ablation path: a table, and a few sentences."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sweeper.sweep.explain.ablation import Ablation
from sweeper.sweep.explain.differences import Difference
from sweeper.text import aligned, listed

SHARE_OF_NOTHING = 0.05  # of the whole gain; a change that brings less did not matter


@dataclass(frozen=True)
class Change:
    """A change from the default to the winner.

    Args:
        key: Config key.
        default: Default value, in Hydra's override grammar.
        winner: Value of the winner.
        value: Value of the metric after the change; infinite if the run failed.
        gain: Improvement that the change brought, since the last run that did not fail; negative if
            it made things worse, NaN if there is no such run or this one failed.
        companions: The winner's values of the keys that changed together with it.
    """

    key: str
    default: str
    winner: str
    value: float
    gain: float
    companions: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The change in words."""
        return f"{self.key} ({_shown(self.default)} -> {_shown(self.winner)})"

    @property
    def has_failed(self) -> bool:
        """True if the run after the change failed."""
        return not math.isfinite(self.value)


def changes(path: Ablation, differences: Sequence[Difference], maximize: bool) -> list[Change]:
    """Return the changes of a whole path along these differences."""
    assert path.start is not None
    before, found, sign = path.start, list[Change](), 1 if maximize else -1
    by_key = {each.key: each for each in differences}
    for step in path.steps:
        gain, each = sign * (step.value - before), by_key[step.key]
        gain = gain if math.isfinite(gain) else math.nan
        companions = {key: best for key, (_, best) in each.companions.items()}
        change = Change(each.key, each.default, each.winner, step.value, gain, companions)
        found.append(change)
        before = step.value if math.isfinite(step.value) else before
    return found


def table(start: float, found: Sequence[Change], baseline: str) -> str:
    """Return the path as a table, a line for each change; `baseline` names its first point."""
    rows = [(c.text, _value(c.value), _gain(c.gain)) for c in found]
    return aligned([("", "value", "gain")], [(baseline, _value(start), ""), *rows])


def _value(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "failed"


def _gain(gain: float) -> str:
    return "" if math.isnan(gain) else f"{gain:+.4f}"


def companions(found: Sequence[Change]) -> list[str]:
    """Return a line for each change that brought the values of other keys with it."""
    lines = []
    for change in found:
        if change.companions:
            others = " ".join(f"{key}={text}" for key, text in change.companions.items())
            lines.append(f"with {change.key}={change.winner}: {others}")
    return lines


def sentences(found: Sequence[Change]) -> list[str]:
    """Return what mattered most, what did not matter, and what the rest brought.

    Changes after which a run failed have no gain of their own.
    """
    if not found:
        return ["The winner is the default config."]
    gained = [change for change in found if not math.isnan(change.gain)]
    return [*_failures(found), *(_gains(gained) if gained else [])]


def _failures(found: Sequence[Change]) -> Iterator[str]:
    """Yield which runs failed, and what cured them."""
    failed = [change for change in found if change.has_failed]
    if failed:
        yield f"After {_names(failed)} changed, the run failed; a later change cured it."
    first = next((c for c in found if math.isnan(c.gain) and not c.has_failed), None)
    if first is not None:
        yield f"The run of the default config failed; with {first.text} it did not."


def _gains(found: Sequence[Change]) -> list[str]:
    total = sum(change.gain for change in found)
    most = max(found, key=lambda change: change.gain)
    scale = max(abs(total), *(abs(change.gain) for change in found))
    others = [change for change in found if change is not most]
    little = [c for c in others if c.gain <= SHARE_OF_NOTHING * scale]
    rest = [c for c in others if c not in little]
    if most.gain <= 0:
        return [f"No change helped: together they brought {total:+.4f}."]
    first = f"{most.text} mattered most: it brought {most.gain:+.4f}, all changes {total:+.4f}."
    if not others:
        return [first, "No other parameter was changed."]
    return [first, _of_little(little), _of_rest(rest)]


def _of_little(found: Sequence[Change]) -> str:
    if not found:
        return "Every other change helped too."
    together = " together" if len(found) > 1 else ""
    return f"{_names(found)} did not help ({sum(c.gain for c in found):+.4f}{together})."


def _of_rest(found: Sequence[Change]) -> str:
    if not found:
        return "The rest brought nothing."
    return f"The rest, {_names(found)}, brought {sum(c.gain for c in found):+.4f}."


def _names(found: Sequence[Change]) -> str:
    return listed([change.key for change in found])


def _shown(text: str) -> str:
    """Return a value in words; of a number, four digits."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text
