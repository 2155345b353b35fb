"""Points and trials that a study takes over from other studies and runs, where the spaces agree."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.cli.overrides import bare_key
from sweeper.space.live import LiveSpace
from sweeper.sweep.elsewhere.finding import Findings, spread
from sweeper.sweep.elsewhere.fitting import Fitted, fit
from sweeper.sweep.elsewhere.mlflow_source import mlflow_findings
from sweeper.sweep.elsewhere.sources import Source
from sweeper.sweep.elsewhere.study_source import has_begun, study_findings
from sweeper.sweep.points import FirstPoints
from sweeper.sweep.spec import StudySpec
from sweeper.text import shortened

log = logging.getLogger(__name__)
EVERY_POINT = "every point of the grid is run"
MAX_SHOWN = 200  # characters of a list of keys


@dataclass(frozen=True)
class Elsewhere:
    """The sources of a study, and what is needed to read them.

    Args:
        live: Space of this study.
        spec: This study.
        directions: Directions of its objectives.
        metrics: Names of its objectives, if they are known.
    """

    live: LiveSpace
    spec: StudySpec
    directions: tuple[str, ...]
    metrics: Sequence[str] = ()

    def take(self, sources: Sequence[Source], fresh: bool = False) -> FirstPoints:
        """Return the points and trials of the sources; nothing if the study has begun already.

        Each source is told in one line. `fresh` is True if an existing study will be moved away.

        Raises:
            ConfigError: a source cannot be used, or has nothing that this study searches.
        """
        if not sources:
            return FirstPoints()
        if self.spec.budget.exhaustive:
            log.info("%s: %s, so nothing is added", sources[0], EVERY_POINT)
            return FirstPoints()
        if not fresh and has_begun(self.spec):
            log.info("%s: study %s has begun, so nothing is added", sources[0], self.spec.name)
            return FirstPoints()
        chosen = [(source.use, self._chosen(source)) for source in sources]
        points = [f.point for use, fits in chosen for f in fits if use == "points"]
        return FirstPoints(points, [f for use, fits in chosen for f in fits if use == "trials"])

    def _chosen(self, source: Source) -> list[Fitted]:
        findings = self._findings(source)
        if not findings.trials:
            raise source.refused(f"has no {findings.noun}; name another source")
        is_front = source.use == "points" and len(findings.directions) > 1
        ranked = findings.front() if is_front else findings.best_first()
        fits = [fit(self.live, finding) for finding in ranked]
        usable = [f for f in fits if f.is_whole] if source.use == "trials" else _distinct(fits)
        chosen = spread(usable, source.n) if is_front else usable[: source.n]
        if not chosen:
            raise source.refused(self._nothing_fits(source, fits))
        log.info("%s", _report(source, findings, chosen, fits))
        return chosen

    def _findings(self, source: Source) -> Findings:
        """Return the finished trials of a source; their values must mean what this study's mean."""
        if source.is_mlflow:
            observers = self.spec.observers
            return mlflow_findings(source, self.metrics, self.directions, observers)
        findings = study_findings(source, self.spec)
        if source.use == "trials":
            own, theirs = ", ".join(self.directions), ", ".join(findings.directions)
            _check_meaning(source, "directions", own, theirs)
            _check_meaning(source, "metric", ", ".join(self.metrics), findings.metric)
        return findings

    def _nothing_fits(self, source: Source, fits: Sequence[Fitted]) -> str:
        keys = self.live.parameters(next(self.live.option_choices()))
        here = shortened(", ".join(map(bare_key, keys)), MAX_SHOWN)
        if source.use == "trials":
            return f"no trial has a value for each parameter of this study: {here}; use: points"
        theirs = sorted({key for f in fits for key in (*f.unknown, *f.outside)})
        found = shortened(", ".join(theirs), MAX_SHOWN) or "none of them"
        return f"no value lies in this study's space: it searches {here}; the source has {found}"


def _check_meaning(source: Source, what: str, own: str, theirs: str) -> None:
    """Check that a source says of its values what this study says, if both say something."""
    if own and theirs and own != theirs:
        must = f"use: trials needs the {what} of this study, {own}, not {theirs}"
        raise source.refused(f"{must}; type use: points")


def _distinct(fits: Sequence[Fitted]) -> list[Fitted]:
    """Return the first of equal points each, without those that have no value."""
    first: dict[frozenset[tuple[str, object]], Fitted] = {}
    for each in fits:
        if each.point:
            first.setdefault(frozenset(each.point.items()), each)
    return list(first.values())


def _report(
    source: Source, findings: Findings, chosen: Sequence[Fitted], fits: Sequence[Fitted]
) -> str:
    noun = source.use[:-1] if len(chosen) == 1 else source.use
    line = f"{source}: {len(chosen)} {noun} taken of {len(findings.trials)} {findings.noun}"
    parts = {
        "not searched here": {key for f in fits for key in f.unknown},
        "outside the range here": {key for f in fits for key in f.outside},
    }
    for words, keys in parts.items():
        if keys:
            line += f"; {words}: {shortened(', '.join(sorted(keys)), MAX_SHOWN)}"
    return line
