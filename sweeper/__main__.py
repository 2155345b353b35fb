"""`python -m sweeper`."""

import sys

from sweeper.launch.early import runs_study, start_server
from sweeper.secrets import hide_arguments, masked_uri

# torch takes longer to import than all else that a study does before its first trial. A server
# imports it for the workers meanwhile.
WORK = ("sweeper.run.start", "sweeper.sweep.worker_task")

if runs_study(sys.argv[1:]):
    # Until it executes its own program, a process that is started shows the arguments of this one.
    hide_arguments(argument for argument in sys.argv[1:] if masked_uri(argument) != argument)
    start_server(WORK)

from sweeper.app import main  # noqa: E402

main()
