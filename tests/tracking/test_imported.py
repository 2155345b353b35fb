"""The import of MLflow."""

import logging
import warnings

import pytest

from sweeper.api.untouched import untouched
from sweeper.tracking.imported import ignore_warnings, import_mlflow, restore_levels


def test_mlflow_prints_no_address_at_the_end_of_a_run() -> None:
    import_mlflow()
    from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()


def test_mlflow_logs_again_after_a_call_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_LOGGING_LEVEL", raising=False)
    # As in a notebook, where the call is the first one to need MLflow.
    restore_levels()
    monkeypatch.delitem(logging.Logger.manager.loggerDict, "mlflow", raising=False)
    with untouched():
        import_mlflow()
        assert logging.getLogger("mlflow").level == logging.CRITICAL
    assert logging.getLogger("mlflow").level < logging.WARNING


@pytest.mark.parametrize("module", ["mlflow.store", "urllib3.contrib.socks"])
def test_nobody_is_warned_by_what_mlflow_imports(module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignore_warnings()
        warnings.warn_explicit("an option is not installed", UserWarning, "x.py", 1, module)
        with pytest.raises(UserWarning):
            warnings.warn_explicit("of the user", UserWarning, "x.py", 1, "mine")
