"""Errors that the user can fix. A message has one line and says what to type instead.

    SweeperError          printed as one line without a traceback; exit code 1
    |-- ConfigError       an invalid group, option, key or value
    |   `-- ShapeError    an image that is too small for the network
    |-- DataError         a data set that is missing, empty or unreadable
    |-- CheckpointError   a checkpoint that is missing, damaged or of another model
    `-- TrainingError     training that cannot continue, such as a loss that is not finite
        |-- OutageError   the database of a study that stays away; no trial is to blame
        `-- MovedError    a study that is no longer where its worker has it; no trial is to blame

All but the last three are raised before the first training step.
"""


class EndedError(BaseException):
    """The end of a command by an error, where Hydra would act on the error itself.

    It would print a line of its own for an error of a task, and only warn of one of a callback.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class SweeperError(Exception):
    """An error that the user can fix; the message is one complete sentence."""


class ConfigError(SweeperError):
    """An invalid group, option, key or value."""


class ShapeError(ConfigError):
    """An image that is too small for the network; the message shows the arithmetic."""


class DataError(SweeperError):
    """A data set that is missing, empty or unreadable."""


class CheckpointError(SweeperError):
    """A checkpoint that is missing, damaged or belongs to another model."""


class TrainingError(SweeperError):
    """Training that cannot continue, such as a loss that is not finite."""


class OutageError(TrainingError):
    """The database of a study stays away, so its trials cannot go on; none of them has failed."""


class MovedError(TrainingError):
    """A study was moved away or deleted, so its workers leave it; none of its trials has failed."""
