"""What a command says of its study before it runs trials: what was done before, by which code."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

import __main__
from sweeper.cli.git import CodeState
from sweeper.cli.overrides import bare_key, override_text, to_type
from sweeper.hydra_settings import LocalLauncherConf
from sweeper.launch.resources import n_workers
from sweeper.objectives import headline, rescales
from sweeper.space.live import config_key
from sweeper.sweep.budget import Budget, is_own
from sweeper.sweep.curve import end_of
from sweeper.sweep.identity import steers
from sweeper.sweep.plan import StudyPlan
from sweeper.text import plural

log = logging.getLogger(__name__)
CODE_KEY = "sweeper:code"


def announce(plan: StudyPlan, study: optuna.Study, has_work: bool, config: DictConfig) -> None:
    """Log what a user would not expect of this command, and record the code that it runs."""
    code = _current_code()
    lines = [*opening_lines(plan, study, has_work, _fresh_override(config), code)]
    if has_work:
        lines += measure_lines(plan, config)
    if has_work and plan.spec.own_process:
        n_trials = plan.spec.budget.n_trials
        n = min(n_workers(plan.settings.n_jobs), n_trials or sys.maxsize)
        lines += launcher_lines(config.hydra.launcher, n)
    for line in lines:
        log.warning("Study %s: %s", plan.spec.name, line)
    record = None if code is None else [code.commit, code.changes]
    if has_work and study.user_attrs.get(CODE_KEY) != record:
        study.set_user_attr(CODE_KEY, record)


def opening_lines(
    plan: StudyPlan, study: optuna.Study, has_work: bool, fresh: str, code: CodeState | None
) -> Iterator[str]:
    """Yield what a user would not expect of this command: trials done before, settings of no use.

    `fresh` is the override that starts a new study.
    """
    own = [t for t in study.get_trials(deepcopy=False) if is_own(t)]
    budget = plan.spec.budget
    trials = [t for t in own if budget.is_done(t)]
    runs = any(t.state == TrialState.RUNNING for t in own)
    if trials and (has_work or not runs):  # what runs elsewhere is waited for
        yield from _lines_of_trials(budget, trials, has_work, fresh, code, _code_of(study))
    n_waiting = sum(t.state == TrialState.WAITING and not budget.is_paused(t) for t in own)
    if n_waiting and not has_work and budget.stop_reason(own) is None:
        waiting = f"{n_waiting} trial{' waits' if n_waiting == 1 else 's wait'} to be run"
        yield f"{waiting}; type hydra.sweeper.n_trials={len(trials) + n_waiting}"
    n_trials, n_points = plan.settings.n_trials, budget.n_points
    if has_work and n_trials is not None and n_points is not None and n_points < n_trials:
        yield (
            f"the search space has {plural(n_points, 'point')}, fewer than "
            f"n_trials={n_trials}; the study ends when each has been run"
        )
    for key in _searched(plan) if has_work else ():
        if steers(key, plan.settings.steering):
            yield f"{key} is searched, but it changes nothing that a trial computes"
    if has_work and not plan.spec.own_process and plan.settings.n_jobs not in ("auto", 1):
        yield (
            f"hydra/launcher=basic runs one worker, not hydra.sweeper.n_jobs="
            f"{plan.settings.n_jobs}; type hydra/launcher=local for several"
        )


def measure_lines(plan: StudyPlan, config: DictConfig) -> Iterator[str]:
    """Yield the searched keys that change what an objective measures.

    The values of two trials then cannot tell which is the better one. An application whose metric
    is no key of its config has losses of its own.
    """
    if not _has_short_form(config, "metric"):
        return
    names = plan.settings.objectives.names
    other = OmegaConf.select(config, "data.metric") or headline("multiclass")
    for name in names:
        others = [other if each == name else each for each in names]
        metric = others if len(others) > 1 else other
        for key in _searched(plan):
            if rescales(bare_key(key), name):
                advice = to_type(f"metric={override_text(metric)}")
                yield f"{key} is searched, and changes what {name} measures; {advice}"


def _searched(plan: StudyPlan) -> list[str]:
    return sorted({config_key(name) for name in plan.identity.space})


def launcher_lines(launcher: Mapping[str, Any], n: int) -> Iterator[str]:
    """Yield what a setting of the launcher does not do, or does, to the `n` workers of a study."""
    if launcher["_target_"] == LocalLauncherConf._target_:
        most = launcher.get("n_jobs")
        if most not in ("auto", n):
            yield (
                f"hydra.launcher.n_jobs={most} is not used by a study; "
                f"type hydra.sweeper.n_jobs={most}"
            )
        return
    for key in ("n_jobs", "array_parallelism"):
        most = launcher.get(key)
        if isinstance(most, int) and 0 < most < n:
            yield (
                f"hydra.launcher.{key}={most} lets {most} of the {n} workers run at a time; type "
                f"hydra.launcher.{key}={n} or hydra.sweeper.n_jobs={most}"
            )


def _lines_of_trials(
    budget: Budget,
    trials: Sequence[FrozenTrial],
    has_work: bool,
    fresh: str,
    code: CodeState | None,
    before: CodeState | None,
) -> Iterator[str]:
    changed = before is not None and code is not None and before != code
    change = f"; the code has changed since ({before} -> {code})" if changed else ""
    again = f"{fresh} runs them again"
    if has_work and changed:
        yield f"{_trials_text(trials)} before{change}; {again}"
    if not has_work:
        every = "all " if budget.n_trials == len(trials) else ""
        by = f" by {before}" if before is not None and not changed else ""
        reason = None if every else budget.stop_reason(trials)
        ended = f"; the study has ended, since {reason}" if reason else ""
        yield f"nothing to run: {every}{_trials_text(trials)}{by}{ended}{change}; {again}"


def _trials_text(trials: Sequence[FrozenTrial]) -> str:
    """Return how many trials were done and when, in words."""
    last = datetime.fromtimestamp(max(end for t in trials if (end := end_of(t)) is not None))
    days = {date.today(): "today", date.today() - timedelta(days=1): "yesterday"}
    when = f"{days.get(last.date(), f'{last:%Y-%m-%d}')} {last:%H:%M}"
    n = len(trials)
    return f"{plural(n, 'trial')} {'was' if n == 1 else 'were'} done ({when})"


def _fresh_override(config: DictConfig) -> str:
    """Return the override that starts a new study; an application may have a short form of it."""
    return "study=fresh" if _has_short_form(config, "study") else "hydra.sweeper.study=fresh"


def _has_short_form(config: DictConfig, key: str) -> bool:
    """Return whether a key of `hydra.sweeper` is set by a key of that name, as in our config."""
    hydra = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    return isinstance(hydra, dict) and hydra.get(key) == f"${{{key}}}"


def _current_code() -> CodeState | None:
    """Return the state of the code in the application's folder, else in the current one."""
    main = getattr(__main__, "__file__", None)
    return CodeState.of(*([Path(main).absolute().parent] if main else []), Path.cwd())


def _code_of(study: optuna.Study) -> CodeState | None:
    """Return the state of the code that ran the last trials, as far as it is known."""
    match study.user_attrs.get(CODE_KEY):
        case [str(commit), str(changes)]:
            return CodeState(commit, changes)
    return None
