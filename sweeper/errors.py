"""What can go wrong, as a user sees it: one line that says what to type instead.

    SweeperError          printed as one line without a traceback; exit code 1
    |-- ConfigError       a group, option, key or value that cannot work
    |   `-- ShapeError    a network that pools or strides the image away
    |-- DataError         a data set that is missing, empty or unreadable
    |-- CheckpointError   a checkpoint that is missing, damaged or of another model
    `-- TrainingError     training that cannot go on, such as a loss that is not finite

Everything but `TrainingError` is found before the first training step.
"""


class SweeperError(Exception):
    """An error that its reader can mend; the message is one complete sentence."""


class ConfigError(SweeperError):
    """A group, option, key or value that cannot work."""


class ShapeError(ConfigError):
    """A network that leaves nothing of the image; the message shows the arithmetic."""


class DataError(SweeperError):
    """A data set that is missing, empty or unreadable."""


class CheckpointError(SweeperError):
    """A checkpoint that is missing, damaged or belongs to another model."""


class TrainingError(SweeperError):
    """Training that cannot go on."""
