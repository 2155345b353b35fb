"""`python -m sweeper`."""

import sys

from sweeper.launch.early import runs_study, start_server

# torch takes longer to import than all else that a study does before its first trial. A server
# imports it for the workers meanwhile.
WORK = ("sweeper.run.start", "sweeper.sweep.worker_task")

if runs_study(sys.argv[1:]):
    start_server(WORK)

from sweeper.app import main  # noqa: E402

main()
