"""The Pareto front of a study in words: its members, each with the command that trains it again."""

from collections.abc import Callable, Iterator, Sequence

from optuna.trial import FrozenTrial

from sweeper.sweep.elsewhere.finding import spread
from sweeper.sweep.results.best_folder import BEST_FOLDER
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.results.front import KNEE
from sweeper.text import plural

FRONT_FILE = "front.sh"
MAX_SHOWN = 10

Command = Callable[[FrozenTrial], str]


def front_lines(front: Sequence[FrozenTrial], names: Sequence[str], command: Command) -> list[str]:
    """Return the front for the terminal; of a large one, `MAX_SHOWN` members all along it."""
    members = sorted(front, key=lambda t: tuple(t.values))
    named = f" ({', '.join(names)})" if names else ""
    lines = [f"Pareto front: {plural(len(front), 'trial')}{named}"]
    for trial in spread(members, MAX_SHOWN):
        lines += [f"  {values_text(trial)} in trial {trial.number}", f"    {command(trial)}"]
    return lines


def front_script(front: Sequence[FrozenTrial], names: Sequence[str], command: Command) -> str:
    """Return all members of the front as a shell script that trains each of them again."""
    return "\n".join([*_script_lines(front, names, command), ""])


def choice_line(names: Sequence[str]) -> str:
    """Return how the user chooses the member of the front that gets the folder `best/`."""
    objectives = ", ".join(names) if names else "the number of an objective (0, 1, ...)"
    return (
        f"For {BEST_FOLDER}/, add hydra.sweeper.best={KNEE} to the same command; "
        f"or choose the best in one objective with {objectives}"
    )


def _script_lines(
    front: Sequence[FrozenTrial], names: Sequence[str], command: Command
) -> Iterator[str]:
    yield f"# The Pareto front of the study{': ' + ', '.join(names) if names else ''}."
    yield "# Each line trains one of its members again; run those that you want."
    for trial in sorted(front, key=lambda t: tuple(t.values)):
        yield f"# {values_text(trial)} in trial {trial.number}"
        yield command(trial)
