import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.tracking.outbox import Outbox
from sweeper.tracking.store import MLflowStore

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(autouse=True)
def _release_outboxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: list[Outbox] = []
    construct = Outbox.__init__

    def remember(outbox: Outbox, *arguments: object) -> None:
        construct(outbox, *arguments)  # type: ignore[arg-type]
        opened.append(outbox)

    monkeypatch.setattr(Outbox, "__init__", remember)
    yield
    for outbox in opened:
        outbox.release()


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs; creating one takes seconds, so the tests copy it."""
    path: Path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MLflowStore(f"sqlite:///{path}", path.parent)
    return path


@pytest.fixture
def database(_empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of an MLflow database of this test alone: other tests use the same names."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    return f"sqlite:///{shutil.copy(_empty_database, path)}"
