"""What a command says of a study before its first trial: what is trained, and what is searched."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sweeper.cli.next_steps import relative
from sweeper.launch.resources import n_workers
from sweeper.secrets import without_password
from sweeper.sweep.plan import StudyPlan
from sweeper.text import named_rows, plural, shortened

NOT_SHOWN = ("none", "default", "None")
FIRST = ("experiment", "model", "data", "optimizer", "loss", "search")
UNNAMED = ("tracking",)
"""The groups that are named first, and those that are not named, if the application has them."""

WIDTH = 65
"""Columns for a text beside its name; what does not fit is cut."""


def options_text(config: DictConfig, arguments: Sequence[str]) -> str:
    """Return the options that are trained, as they were typed if they are searched.

    config: Hydra's config of the whole sweep.
    """
    typed = dict(a.split("=", 1) for a in arguments if "=" in a)
    choices: Mapping[str, Any] = config.hydra.runtime.choices
    options = {g: typed.get(g, str(o)) for g, o in choices.items() if not g.startswith("hydra/")}
    groups = sorted(options, key=lambda g: FIRST.index(g) if g in FIRST else len(FIRST))
    shown = [
        f"{group}={options[group]}"
        for group in groups
        if options[group] not in NOT_SHOWN and group not in UNNAMED
    ]
    return named_rows([("study of", _cut(" ".join(shown)))]) if shown else ""


def plan_text(plan: StudyPlan) -> str:
    """Return what a study searches, how much, on how many workers, and where its files are."""
    spec, settings = plan.spec, plan.settings
    names = spec.objectives.names or ["the value that the task returns"]
    goals = zip(settings.directions, names, strict=False)
    parameters = plan.live.parameters(plan.live.first_point())
    rows = [
        ("searches", _cut(", ".join(parameters) or "nothing")),
        ("to", " and ".join(f"{direction} {name}" for direction, name in goals)),
        ("budget", ", ".join(_budget(plan))),
        ("folder", str(relative(spec.folder, Path.cwd()))),
    ]
    return named_rows(rows)


def plan_line(plan: StudyPlan) -> str:
    """Return in one line how much the study runs, and where its files are."""
    folder = relative(plan.spec.folder, Path.cwd())
    return f"Study {plan.spec.name}: {', '.join(_budget(plan))}, in {folder}"


def _budget(plan: StudyPlan) -> list[str]:
    budget = plan.spec.budget
    kind = " (the full grid)" if budget.exhaustive else ""
    n_trials = [] if budget.n_trials is None else [plural(budget.n_trials, "trial") + kind]
    stop = ["an early end if nothing improves"] if budget.stop and budget.stop.patience else []
    time = [] if plan.settings.timeout_seconds is None else [
        f"{plan.settings.timeout_seconds / 60:g} minutes"
    ]  # fmt: skip
    workers = n_workers(plan.settings.n_jobs) if plan.spec.own_process else 1
    return [*n_trials, *time, *stop, plural(workers, "worker")]


def _cut(text: str) -> str:
    return shortened(without_password(text), WIDTH)
