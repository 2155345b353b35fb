"""A registered model, served by MLflow's own server, answers as `predict` does."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray
from PIL import Image

from sweeper.predict import predict

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SECONDS = 120


@pytest.fixture
def address(ran, tmp_path: Path, serving) -> Iterator[str]:
    """Train and register a network, and serve it with MLflow; yield the address."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ran("tracking=mlflow", f"tracking.uri={uri}", "tracking.register=digits", "trainer.epochs=1")
    command = ["models", "serve", "--env-manager", "local", "--model-uri", "models:/digits/1"]
    with serving(tmp_path, *command, MLFLOW_TRACKING_URI=uri) as url:
        yield url


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
