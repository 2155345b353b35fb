"""The import of MLflow, without its telemetry, its log of failures and its warnings."""

import logging
import os
import threading
import warnings

# Defaults; variables that the user has set win. MLflow itself does not retry: `Delivery` does.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow prints two lines for each run. They break the board of a study, and hold any password.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

# A process that is forked while another thread imports a module would wait for that import for
# ever. A fork (for DataLoader workers) therefore waits until MLflow is imported, a second or two.
_import_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_import_lock.acquire,
        after_in_parent=_import_lock.release,
        after_in_child=_import_lock.release,
    )


_levels: dict[str, int] = {}
"""The levels of the loggers that are silenced, as they were before."""


def import_mlflow() -> None:
    """Import MLflow's client; a later import of it, or of another module of MLflow, is quiet."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ignore_warnings()
    with _import_lock:
        from mlflow import MlflowClient  # noqa: F401
    # MLflow would log each failure with a traceback, which breaks the progress display. `Delivery`
    # and the tracker report failures in one line.
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic"):
            logger = logging.getLogger(name)
            _levels.setdefault(name, logger.level)
            logger.setLevel(logging.CRITICAL)


def ignore_warnings() -> None:
    """Ignore the warnings of MLflow and of what it imports.

    They must not end a run that treats warnings as errors. A thread that imports MLflow sets this
    too late if another thread restores the filters meanwhile, so it is also set before it starts.
    """
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic|urllib3)\b")


def restore_levels() -> None:
    """Let MLflow log again as it did before `import_mlflow`."""
    while _levels:
        name, level = _levels.popitem()
        logging.getLogger(name).setLevel(level)
