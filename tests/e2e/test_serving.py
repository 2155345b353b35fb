"""A registered model, served by MLflow's own server, answers as `predict` does."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray
from PIL import Image
from urllib3.util import Retry

from sweeper.predict import predict

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SECONDS = 120


@pytest.fixture
def address(ran, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Train and register a network, and serve it with MLflow; yield the address."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ran("tracking=mlflow", f"tracking.uri={uri}", "tracking.register=digits", "trainer.epochs=1")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", "models:/digits/1", "--port", str(port := free_port())]
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    # MLflow starts the program uvicorn, which lies beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {"MLFLOW_TRACKING_URI": uri, "PATH": path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        patience = Retry(2 * SECONDS, backoff_factor=0.1, backoff_max=1)
        urllib3.request("GET", f"{url}/health", retries=patience)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_a_served_model_answers_with_the_probabilities_of_predict(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    paths = [str(tmp_path / f"{i}.png") for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    capsys.readouterr()
    checkpoint = f"checkpoint={tmp_path / 'run'}"
    predict([checkpoint, "grid=null", "top=10", "--json", *paths])
    answers = json.loads(capsys.readouterr().out)
    body = {"inputs": images[:, None].tolist()}
    response = urllib3.request("POST", f"{address}/invocations", json=body, timeout=SECONDS)
    assert response.status == 200, response.data
    for answer, row in zip(answers, response.json()["predictions"], strict=True):
        served = dict(enumerate(row))
        assert {int(e["class"]): e["probability"] for e in answer["top"]} == served
    # An image of another size is refused, and the message names the size.
    other = urllib3.request(
        "POST", f"{address}/invocations", json={"inputs": images[:, None, :7].tolist()}
    )
    assert other.status == 400
    assert "(-1, 1, 8, 8)" in other.json()["message"]
