"""The results of the jobs that follow a search, as its study keeps them in user attributes."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeper.sweep.finals.race import FinalPlace
from sweeper.sweep.results.deviation import with_deviation
from sweeper.text import listed, plural, printable

SCORES_RECORD = "sweeper:scores"
FINALISTS_RECORD = "sweeper:finalists"
# The race that the last command asked for: the number of its finalists, and the further seeds.
ASKED_RECORD = "sweeper:asked_finalists"


@dataclass(frozen=True)
class Scores:
    """The scores of a study's winner.

    Args:
        trial: Number of the trial.
        values: Scores by their names; empty if the function returned none.
        failure: Why there are none; None if nothing failed.
        warnings: What the function warned of.
        former: Names of scores that winners before this one have had, and this one has not.
    """

    trial: int
    values: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    warnings: Sequence[str] = ()
    former: Sequence[str] = ()

    @staticmethod
    def by_name(user_attrs: Mapping[str, Any], trial: int | None) -> dict[str, float]:
        """Return the scores of this trial by the names of all scores that the study has had.

        NaN stands for those that this trial has not, such as one that is the best and not scored.
        """
        record, scores = user_attrs.get(SCORES_RECORD, {}), Scores.recorded(user_attrs, trial)
        names = {*record.get("values", ()), *record.get("former", ())}
        return dict.fromkeys(sorted(names), math.nan) | dict(scores.values if scores else {})

    @staticmethod
    def recorded(user_attrs: Mapping[str, Any], trial: int | None) -> "Scores | None":
        """Return what the attributes of a study say of the scores of this trial, if anything."""
        record = user_attrs.get(SCORES_RECORD)
        if record is None or record["trial"] != trial:
            return None
        # Others may write to the storage.
        warnings = tuple(printable(str(line)) for line in record.get("warnings", ()))
        return Scores(**record | {"warnings": warnings, "former": tuple(record.get("former", ()))})

    def record(self) -> dict[str, Any]:
        """Return the scores as JSON."""
        return asdict(self) | {"warnings": list(self.warnings), "former": list(self.former)}

    @property
    def lines(self) -> list[str]:
        """What a command says of the scores when it ends."""
        if self.failure is not None:
            return [f"Not scored: {self.failure}; the same command tries again"]
        texts = [f"{name} {value:.4f}" for name, value in self.values.items()]
        return [f"Scored once, at the end: {', '.join(texts)}"] if texts else []


@dataclass(frozen=True)
class Finalists:
    """The finalists of a study after their race.

    Args:
        trials: Numbers of the trials, as the search ranked them.
        seeds: The further seeds.
        places: Their places in the race, the winner first.
        failures: Why a run failed, by the number of the finalist's trial.
    """

    trials: Sequence[int]
    seeds: Sequence[int]
    places: Sequence[FinalPlace]
    failures: Mapping[int, str] = field(default_factory=dict)

    @staticmethod
    def recorded(user_attrs: Mapping[str, Any], ranking: Sequence[int]) -> "Finalists | None":
        """Return the finalists on record among the attributes of a study.

        `ranking` are the numbers of its complete trials, the best first. None is returned if the
        best of them are others now, or if the last command asked for another race.
        """
        record, asked = user_attrs.get(FINALISTS_RECORD), user_attrs.get(ASKED_RECORD)
        if record is None or list(ranking[: len(record["trials"])]) != record["trials"]:
            return None
        race = {"n": len(record["trials"]), "seeds": record["seeds"]}
        if asked is not None and race != asked | {"n": min(asked["n"], len(ranking))}:
            return None
        places = [FinalPlace(**p | {"values": tuple(p["values"])}) for p in record["places"]]
        failures = record.get("failures", {})
        failures = {int(trial): printable(str(text)) for trial, text in failures.items()}
        return Finalists(record["trials"], record["seeds"], places, failures)

    def record(self) -> dict[str, Any]:
        """Return the finalists as JSON."""
        places = [asdict(p) | {"values": list(p.values)} for p in self.places]
        failures = {str(trial): text for trial, text in self.failures.items()}  # as JSON has them
        trials, seeds = list(self.trials), list(self.seeds)
        return {"trials": trials, "seeds": seeds, "places": places, "failures": failures}

    @property
    def winner(self) -> int | None:
        """The number of the winner; None if a run of each finalist failed."""
        return next((p.trial for p in self.places if not p.is_behind), None)

    @property
    def summary(self) -> list[dict[str, Any]]:
        """The finalists for the results file, the winner first."""
        return [
            {
                "trial": place.trial,
                "values": dict(zip(self.seeds, place.values, strict=False)),
                "mean": place.mean,
                "deviation": place.deviation,
                "p": place.p,
            }
            for place in self.places
        ]

    @property
    def lines(self) -> list[str]:
        """The finalists as lines, the winner first."""
        return [_line(place, self.failures.get(place.trial)) for place in self.places]

    def lead(self, place: FinalPlace) -> float | None:
        """Return by how much the winner's mean differs from that of a finalist, for the same seeds.

        None for the winner itself, without a winner, and if the two share no seed.
        """
        first = next((p for p in self.places if not p.is_behind), None)
        if first is None or place is first:
            return None
        pairs = list(zip(first.values, place.values, strict=False))
        return abs(statistics.fmean(a - b for a, b in pairs)) if pairs else None

    def sentence(self, params: str = "") -> str:
        """Return what the race has shown; `params` are those of the winner."""
        alike = [p.trial for p in self.places if not p.is_behind]
        if not alike:
            return "No finalist could be trained with all of the further seeds"
        winner = f"{alike[0]} ({params})" if params else str(alike[0])
        seeds = plural(len(self.places[0].values), "further seed")
        if len(alike) > 1:
            together = f"Trials {listed(alike)} cannot be told apart with {seeds}"
            return f"{together}; trial {winner} has the best mean"
        tested = [p for p in self.places[1:] if p.p is not None]
        if not tested:
            return f"Trial {winner} is the only finalist whose runs did not fail"
        beaten = f"the next (trial {tested[0].trial}) with p = {tested[0].p:.2g}"
        return f"Trial {winner} beats {beaten}, after {seeds}"


def result_text(place: FinalPlace) -> str:
    """Return the mean of a finalist's runs in words, and whether a run failed."""
    if place.mean is None:
        return "its first run failed" if place.is_behind else "not run, since the others failed"
    value = f"{place.mean:.6g}"
    if place.deviation is not None:
        value = f"{with_deviation(place.mean, place.deviation)} ({len(place.values)} seeds)"
    return f"{value}, then a run failed" if place.has_failed else value


def _line(place: FinalPlace, failure: str | None) -> str:
    """Return a finalist in words; `failure` is why one of its runs failed."""
    p = "" if place.p is None else f", p = {place.p:.2g}"
    reason = "" if failure is None else f": {failure}; the same command tries again"
    return f"  finalist {place.trial}: {result_text(place)}{p}{reason}"
