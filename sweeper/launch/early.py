"""The fork server of this process, which is started as soon as it is known that workers will run.

It imports what the workers need while this process reads its config. If this command ends before it
starts any worker, the server ends with it.
"""

import atexit
from collections.abc import Sequence

from sweeper.cli.program import is_multirun
from sweeper.launch.fork_server import ForkServer, can_fork

_servers: list[ForkServer] = []


def start_server(modules: Sequence[str]) -> None:
    """Start the fork server, with these modules, if there is none and this system can fork."""
    if not _servers and can_fork():
        _servers.append(ForkServer(modules))
        atexit.register(close_server)


def current_server() -> ForkServer | None:
    """Return the fork server, if it was started."""
    return _servers[0] if _servers else None


def close_server() -> None:
    """End the fork server, if there is one; the processes that it has forked go on."""
    while _servers:
        _servers.pop().close()
    atexit.unregister(close_server)


def runs_study(arguments: Sequence[str]) -> bool:
    """Return whether a command line is that of a study with workers on this machine."""
    flags = [argument for argument in arguments if argument.startswith("-")]
    launchers = [a.partition("=")[2] for a in arguments if a.startswith("hydra/launcher=")]
    return is_multirun(flags) and len(flags) == 1 and all(name == "local" for name in launchers)
