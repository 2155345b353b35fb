"""Which failed requests are refusals, which nothing repeats."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from requests import HTTPError, Response

from sweeper.tracking.refusals import RefusedError, translating_refusals


def of_upload(status: int | None) -> HTTPError:
    if status is None:
        return HTTPError("no answer")
    response = Response()
    response.status_code = status
    return HTTPError(str(status), response=response)


@pytest.mark.parametrize(
    "error",
    [of_upload(413), of_upload(400), MlflowException("no run", RESOURCE_DOES_NOT_EXIST)],
    ids=str,
)
def test_what_will_always_be_refused(error: Exception) -> None:
    with pytest.raises(RefusedError, match=str(error)), translating_refusals():
        raise error


@pytest.mark.parametrize(
    "error",
    [of_upload(403), of_upload(502), of_upload(None), MlflowException("away"), OSError("no disk")],
    ids=str,
)
def test_what_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), translating_refusals():
        raise error
