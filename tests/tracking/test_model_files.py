"""The files of a network as an MLflow model."""

import sys
import threading
from pathlib import Path

import pytest

from sweeper.tracking.model_files import ModelError, write_model
from sweeper.tracking.tracker import ServedModel


def test_a_warning_of_another_thread_is_shown_while_a_model_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build() -> ServedModel:
        print("of the export", file=sys.stderr)
        other = threading.Thread(target=lambda: print("not delivered", file=sys.stderr))
        other.start()
        other.join()
        raise ValueError("that is enough")

    with pytest.raises(ModelError, match="that is enough"):
        write_model(build, tmp_path / "model")
    assert capsys.readouterr().err == "not delivered\n"
