from pathlib import Path

import pytest

from sweeper.cli import next_steps as module
from sweeper.cli.next_steps import next_steps, ui_command, ui_commands


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:////home/ada/mlflow.db", "mlflow ui"),
        ("sqlite:////home/ada/a%20b.db", "mlflow ui --backend-store-uri sqlite:///a%20b.db"),
        ("sqlite:////other/mlflow.db", "mlflow ui --backend-store-uri sqlite:////other/mlflow.db"),
        ("sqlite:////home/ada/mlflow.db?timeout=60", "mlflow ui"),
        ("sqlite:////home/ada/a.db?timeout=60",
         "mlflow ui --backend-store-uri 'sqlite:///a.db?timeout=60'"),
        ("postgresql://me:hushhush1@host/x",
         "mlflow ui --backend-store-uri 'postgresql://me:***@host/x'"),
    ],
)  # fmt: skip
def test_the_command_shows_the_runs_of_the_uri(uri, command) -> None:
    assert ui_command(uri, Path("/home/ada")) == command


@pytest.mark.parametrize(
    ("uri", "page", "lines"),
    [
        ("sqlite:////home/ada/mlflow.db", None, ["mlflow ui"]),
        ("sqlite:////home/ada/mlflow.db", "#/experiments/1/runs/2",
         ["mlflow ui", "open http://127.0.0.1:5000/#/experiments/1/runs/2 in a browser"]),
        ("http://host:5000/", None, ["open http://host:5000 in a browser"]),
        ("http://host:5000", "#/experiments/1/runs/2",
         ["open http://host:5000/#/experiments/1/runs/2 in a browser"]),
    ],
)  # fmt: skip
def test_the_page_of_the_run_follows_if_it_is_known(uri, page, lines) -> None:
    assert list(ui_commands(uri, Path("/home/ada"), page)) == lines


def test_the_commands_name_what_is_there(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "program", lambda: ["-m", "sweeper"])
    assert next_steps(tmp_path / "a b", None) == ""
    (tmp_path / "a b/checkpoints").mkdir(parents=True)
    (tmp_path / "a b/checkpoints/best.pt").touch()
    assert next_steps(tmp_path / "a b", f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "t") == (
        "\nNext\n"
        "  mlflow ui\n"
        "  tensorboard --logdir t\n"
        "  python -m sweeper.evaluate 'checkpoint=a b'\n"
        "  python -m sweeper.predict 'checkpoint=a b' IMAGE..."
    )


def test_an_application_of_someone_else_has_no_commands_of_ours(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "program", lambda: ["app.py"])
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.pt").touch()
    assert next_steps(tmp_path, None) == ""


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("mlruns/0/meta.yaml", "mlflow ui --backend-store-uri sqlite:///mlflow.db"),
        ("mlruns/models/meta.yaml", "mlflow ui"),
        ("mlruns/0/artifacts", "mlflow ui"),
    ],
)
def test_the_database_is_named_beside_files_that_mlflow_would_prefer(
    tmp_path, monkeypatch, file, command
) -> None:
    from mlflow.tracking import get_tracking_uri

    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert ui_command(f"sqlite:///{tmp_path}/mlflow.db", tmp_path) == command
    # `mlflow ui` takes the same default as MLflow's client.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert get_tracking_uri().startswith("sqlite:") == (command == "mlflow ui")
