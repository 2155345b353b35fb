import os
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
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of an MLflow database; creating one takes seconds, so the tests share it."""
    folder: Path = tmp_path_factory.mktemp("database")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MLflowStore(uri, folder)
    return uri
