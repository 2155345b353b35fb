"""What a command line says of a search, although it starts none."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.cli.overrides import bare_key, values_below

STUDY_KEYS = ("hydra.sweeper.", "hydra/sweeper", "search=")
NO_SEARCH = ("search=none", "search=null")


def unsearched_line(
    overrides: Sequence[str], params: Mapping[str, Any] | None, advice: str
) -> str | None:
    """Return a line if the overrides of a single run ask for a search, else None.

    The command that trains a trial again names the search too, but also a value for each parameter.

    overrides: those of the command line.
    params: `hydra.sweeper.params`, the search space that `search=NAME` has filled.
    advice: what to do to start a study.
    """
    typed = set(map(bare_key, overrides))
    asking = [o for o in overrides if o.lstrip("+").startswith(STUDY_KEYS) and o not in NO_SEARCH]
    searched = {bare_key(key) for key, _ in values_below(params or {})}
    if not asking or (searched and typed >= searched):
        return None
    return f"{asking[0]}: nothing is searched in a single run; {advice} to start a study"
