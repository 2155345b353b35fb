"""The program of this process: what Python's arguments are, here and in the commands we print.

Nothing is imported for it, so that a command can look at its arguments before all else.

In a notebook, `sys.argv` and `__main__` are those of the notebook's kernel. A call from Python
therefore stands in for a command line for as long as it runs.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import __main__

_stand_in: list[str] = []


@contextmanager
def standing_in(program: Sequence[str], arguments: Sequence[str]) -> Iterator[None]:
    """Let this process stand for `python PROGRAM ARGUMENTS` within the context."""
    before, argv = _stand_in[:], sys.argv
    _stand_in[:], sys.argv = program, [program[-1], *arguments]
    try:
        yield
    finally:
        _stand_in[:], sys.argv = before, argv


def program() -> list[str]:
    """Return the arguments of Python that run this application."""
    if _stand_in:
        return list(_stand_in)
    spec = getattr(__main__, "__spec__", None)
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def is_multirun(arguments: Sequence[str]) -> bool:
    """Return whether a command line has the flag of a study."""
    return any(a == "-m" or (len(a) > 3 and "--multirun".startswith(a)) for a in arguments)
