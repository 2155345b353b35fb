"""Requests that an MLflow server will always refuse, however often they are repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

# Errors of a server that understood the request and will always refuse it; others may be retried.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}
_REFUSED_UPLOADS = {400, 413}
"""The HTTP status of an upload that is wrong, or too large for the server."""


class RefusedError(Exception):
    """A record that the server will always refuse."""


def is_refusal(error: "MlflowException") -> bool:
    """Return whether a request that has failed would always fail."""
    return error.error_code in _REFUSALS


@contextmanager
def translating_refusals() -> Iterator[None]:
    """Translate the errors of requests that the server will always refuse.

    Raises:
        RefusedError: MLflow refused the request.
    """
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    try:
        yield
    except MlflowException as error:
        if is_refusal(error):
            raise RefusedError(error.message) from error
        raise
    except HTTPError as error:  # only of files, which MLflow sends by themselves
        if error.response is not None and error.response.status_code in _REFUSED_UPLOADS:
            raise RefusedError(str(error)) from error
        raise
