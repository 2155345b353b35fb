"""A registered model, served by MLflow's own server, answers as `predict` does."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray
from PIL import Image

import servers
from sweeper.predict import predict

pytestmark = pytest.mark.filterwarnings("ignore")
SECONDS = 120
PAGE = Path(__file__).parents[2] / "docs/mlflow.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def address(ran, tmp_path: Path) -> Iterator[str]:
    """Train and register a network, and serve it with MLflow; yield the address."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ran("tracking=mlflow", f"tracking.uri={uri}", "tracking.register=digits", "trainer.epochs=1")
    command = ["models", "serve", "--env-manager", "local", "--model-uri", "models:/digits/1"]
    with servers.mlflow(tmp_path, *command, MLFLOW_TRACKING_URI=uri) as url:
        yield url


def value_of(code: str) -> Any:
    """Run code; return the value of its last line."""
    *lines, last = ast.parse(code).body
    names: dict[str, Any] = {}
    exec(compile(ast.Module(lines, []), "page", "exec"), names)
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "page", "eval"), names)


def test_a_served_model_answers_with_the_probabilities_of_predict(
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
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
    # The examples of the page, which load the model and ask the server, agree on a black image.
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("digit.png")
    load, ask = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    [served] = value_of(ask.replace("http://127.0.0.1:5001", address))
    assert value_of(load).tolist() == [pytest.approx(served)] * 3
