"""Join a study that runs elsewhere: run its trials in this shell, on this host.

    python -m sweeper.worker STUDY_FOLDER [OVERRIDE...]
    python -m sweeper.worker STORAGE STUDY_NAME [OVERRIDE...]

STUDY_FOLDER is the folder of the study, such as multirun/NAME, on a disk that both hosts see.
STORAGE is the study's database URL or journal file. The worker leaves when the study is done.

    hydra.sweeper.n_jobs=4   number of worker processes here; one by default
    hydra/launcher=basic     run the trials in this process
"""

import os
import re
import sys
from collections.abc import Sequence

from sweeper.cli.arguments import run_tool, study_meant
from sweeper.errors import ConfigError
from sweeper.secrets import hide_arguments, masked_uri
from sweeper.sweep.command import worker_command


def join(argv: Sequence[str]) -> None:
    """Replace this process by the study's own command, as a worker.

    Raises:
        ConfigError: there is no such study.
    """
    hide_arguments(argument for argument in argv if masked_uri(argument) != argument)
    overrides, places = list[str](), list[str]()
    for argument in argv:
        is_override = re.match(r"~|\+*[\w./@-]+=", argument)
        # `Path.exists` raises for a name that no file can have.
        is_place = not is_override or os.path.exists(argument)  # noqa: PTH110
        (places if is_place else overrides).append(argument)
    if len(places) not in (1, 2):
        problem = f"{' '.join(argv)}: names {'no study' if not places else 'several studies'}"
        meant = study_meant(overrides) or (
            "STUDY_FOLDER, such as multirun/NAME, or python -m sweeper.worker STORAGE STUDY_NAME"
        )
        raise ConfigError(
            f"{problem if argv else 'no study is named'}; type python -m sweeper.worker {meant}"
        )
    command = worker_command(places[0], places[1] if len(places) == 2 else None, overrides)
    sys.stdout.flush()
    os.execv(command[0], command)


if __name__ == "__main__":
    run_tool(join, __doc__)
