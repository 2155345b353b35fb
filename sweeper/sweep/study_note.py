"""The text on the page of a study in MLflow, in Markdown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import optuna
from optuna.trial import FrozenTrial

from sweeper.space.live import config_key
from sweeper.sweep.finals.final_records import Finalists, result_text
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.results.front import best_trials, ranked_trials
from sweeper.text import in_one_line, plural, shortened
from sweeper.tracking.study_page import MODEL_LINK, artifact_link, trial_link

N_TRIALS, N_PARAMETERS, N_FINALISTS = 10, 8, 5
"""The most rows and parameters of the tables; the page of a run takes 8,000 characters in all."""
VALUE_LENGTH = 30
LINE_LENGTH = 88
"""The most characters in a line of the command. A longer line would be wider than the picture, and
would push the values of the metrics and the facts of the run off the page."""
_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+""")
"""A word of a command line, with its quotes."""
_SYNTAX = re.compile(r"[\\`*_{}\[\]|~]")
PICTURE = "figures/study_small.png"
"""The page shows a picture in its own size, and cuts a wide one."""


def study_note(
    study: optuna.Study,
    best: FrozenTrial | None,
    importances: Mapping[str, float],
    basis: str = "",
    command: str = "",
) -> str:
    """Return the best trial, the finals, the command, the picture, the trials, the importances.

    The links stand for addresses that are known when the note is delivered; see `study_page`.

    Args:
        study: The study.
        best: The trial that was chosen, if any.
        importances: The importance of each parameter by Optuna's name, the highest first.
        basis: Of which trials the importances are.
        command: The command that trains the best trial again.
    """
    is_front = len(study.directions) > 1
    trials = best_trials(study) if is_front else ranked_trials(study)
    parts: list[str] = []
    if best is not None:
        winner = trial_link(best.number)
        parts.append(f"**Best: {values_text(best)}** in {winner}{MODEL_LINK}")
    if not is_front:
        finalists = Finalists.recorded(study.user_attrs, [trial.number for trial in trials])
        parts += _finals(finalists) if finalists is not None else []
    if command:
        parts += ["Train it again:", f"```\n{_in_lines(command)}\n```"]
    if trials:
        parts += [f"![{PICTURE}]({artifact_link(PICTURE)})"]
        shown = trials[:N_TRIALS]
        parts.append(_heading(is_front, len(shown), len(trials)))
        parts.append("\n".join(_table(shown, _columns(shown, importances))))
    if importances:
        rows = [f"| `{config_key(n)}` | {share:.0%} |" for n, share in _top(importances)]
        parts += [f"### What mattered\n\n{basis}".strip()]
        parts.append("\n".join(["| parameter | importance |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _in_lines(command: str) -> str:
    """Return a command in lines that a shell joins again."""
    lines: list[str] = []
    for word in _WORD.findall(command):
        if lines and len(lines[-1]) + len(word) + 3 <= LINE_LENGTH:  # with a space before " \\"
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}" if lines else word)
    return " \\\n".join(lines)


def _heading(is_front: bool, n_shown: int, n: int) -> str:
    what = "The Pareto front" if is_front else "The best trials"
    return f"### {what}" + (f" ({n_shown} of {plural(n, 'trial')})" if n_shown < n else "")


def _finals(finalists: Finalists) -> list[str]:
    """Return who won the race of the finalists, and by how much."""
    shown, n = finalists.places[:N_FINALISTS], len(finalists.places)
    more = f" ({len(shown)} of {plural(n, 'finalist')})" if len(shown) < n else ""
    head = _row(["finalist", "mean of its runs", "behind the winner by", "p"])
    rows = [head, "|---|---|---|---|"]
    for place in shown:
        lead, p = finalists.lead(place), place.p
        texts = ["" if number is None else f"{number:.2g}" for number in (lead, p)]
        rows.append(_row([trial_link(place.trial), result_text(place), *texts]))
    return [f"### The finals{more}\n\n{finalists.sentence()}.", "\n".join(rows)]


def _top(importances: Mapping[str, float]) -> list[tuple[str, float]]:
    by_share = sorted(importances.items(), key=lambda pair: -pair[1])
    return by_share[:N_PARAMETERS]


def _columns(trials: Sequence[FrozenTrial], importances: Mapping[str, float]) -> list[str]:
    """Return the config keys of the parameters to show, the most important ones first."""
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    in_order = sorted(names, key=lambda name: -importances.get(name, 0.0))
    return list(dict.fromkeys(map(config_key, in_order)))[:N_PARAMETERS]


def _table(trials: Sequence[FrozenTrial], keys: Sequence[str]) -> Iterator[str]:
    yield _row(["trial", "value", *(f"`{key}`" for key in keys)])
    yield "|---" * (len(keys) + 2) + "|"
    for trial in trials:
        params = {config_key(name): str(value) for name, value in trial.params.items()}
        cells = [_cell(params.get(key, "")) for key in keys]
        yield _row([trial_link(trial.number), values_text(trial), *cells])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return a value as the text of a cell; values may hold what Markdown or HTML acts on."""
    return escape(_SYNTAX.sub(r"\\\g<0>", shortened(in_one_line(text), VALUE_LENGTH)), quote=False)
