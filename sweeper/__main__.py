"""`python -m sweeper`."""

import sys

from sweeper.launch.early import runs_study, start_server
from sweeper.secrets import hide_arguments, masked_uri

# What workers import, torch with it. A server imports it while this process reads its config, and
# forks them; so none of these modules may start a thread when it is imported.
WORKER_MODULES = ("sweeper.run.start", "sweeper.sweep.worker_task")

if runs_study(sys.argv[1:]):
    # Until it executes its own program, a process that is started shows the arguments of this one.
    hide_arguments(argument for argument in sys.argv[1:] if masked_uri(argument) != argument)
    start_server(WORKER_MODULES)

from sweeper.app import main  # noqa: E402

main()
