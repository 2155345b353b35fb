"""The import of MLflow."""

from sweeper.tracking.imported import import_mlflow


def test_mlflow_prints_no_address_at_the_end_of_a_run() -> None:
    import_mlflow()
    from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()
