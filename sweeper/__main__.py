"""`python -m sweeper`, and the command `sweeper`, which does the same."""

import sys
from pathlib import Path

from sweeper.cli.waiting import waiting_line

# What workers import: torch with it, and sympy, which torch needs for a network without values.
# A server imports it while this process reads its config, and forks them; so none of these modules
# may start a thread when it is imported.
WORKER_MODULES = ("sweeper.run.start", "sweeper.sweep.worker_task", "sympy")


def main() -> None:
    """Run the command line of this process, and end the process if that saves time."""
    code: str | int | None = 0
    try:
        with waiting_line(None if _completes_words() else "reading the config"):
            _run()
    except SystemExit as end:
        code = end.code
    if {"torch", "optuna"} & sys.modules.keys() and not isinstance(code, str):
        from sweeper.cli.leaving import leave_with

        leave_with(code or 0)
    sys.exit(code)


def _run() -> None:
    from sweeper.launch.early import runs_study, start_server
    from sweeper.secrets import hide_arguments, masked_uri

    arguments = sys.argv[1:]
    if runs_study(arguments):
        # Until it executes its own program, a process that is started shows the arguments of this.
        hide_arguments(argument for argument in arguments if masked_uri(argument) != argument)
        start_server(WORKER_MODULES)
    from sweeper.app import main as run_command_line

    run_command_line()


def _completes_words() -> bool:
    """Return whether a shell has started this process, to complete what is typed in it."""
    return any(argument.startswith(("-sc", "--shell")) for argument in sys.argv[1:2])


def script() -> None:
    """Run the command `sweeper` as `python -m sweeper`, which its workers and messages name.

    Modules beside the user are found too, such as those of their own networks.
    """
    from sweeper.cli.program import standing_in

    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))
    with standing_in(("-m", "sweeper"), sys.argv[1:]):
        main()


if __name__ == "__main__":
    main()
