"""No password of a storage or a tracking server is left in a file, a message or a process list.

The planted passwords have two marks, with other characters between them. Neither mark may be found
anywhere: not in files of any kind below the folder that the command was started in, not in what it
printed, and not in the command lines of its processes.
"""

import http.server
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import optuna
import pytest
import urllib3
import yaml
from mlflow import MlflowClient

import servers
from process_tree import children

SPHERE = [sys.executable, str(Path(__file__).parents[1] / "plugin/sphere/app.py")]
SWEEPER = [sys.executable, "-m", "sweeper"]
MARKS = (b"Xq7zebra", b"Yk8otter")
SECONDS = 300
"""The time after which a command is ended, so that its test fails."""
QUICK = ["trainer.epochs=1", "trainer.train_limit=64", "trainer.val_limit=32", "model=mlp",
         "trainer.device=cpu", "figures=false"]  # fmt: skip
STUDY = ["hydra/sweeper=sweeper", "hydra/launcher=local", "x=interval(-3,3)", "steps=2",
         "step_seconds=0.1", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2",
         "hydra.sweeper.study_name=s"]  # fmt: skip


def planted(between: str = "") -> str:
    return f"{MARKS[0].decode()}{between}{MARKS[1].decode()}"


def override(key: str, value: str) -> str:
    """Return an override as a user would quote it."""
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    return f"{key}='{escaped}'"


@dataclass
class Command:
    """A command in a folder of its own; it must leave no mark there."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    own_files: set[Path] = field(default_factory=set)

    def write(self, name: str, content: Any) -> Path:
        """Write one of the user's own files, which may hold a password."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        self.own_files.add(path)
        return path

    def run(
        self,
        command: Sequence[str],
        code: int = 0,
        watch: Callable[["subprocess.Popen[bytes]"], None] | None = None,
    ) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment | self.environment,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            seen: set[bytes] = set()
            if watch is not None:
                threading.Thread(target=watch, args=(process,), daemon=True).start()
            deadline = time.monotonic() + SECONDS
            while process.poll() is None:
                seen |= command_lines_below(process.pid)
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(0.05)
            output.seek(0)
            printed = output.read()
        assert not any(mark in text for mark in MARKS for text in seen), seen
        assert not any(mark in printed for mark in MARKS), printed.decode()
        assert process.returncode == code, printed.decode()
        assert seen or code != 0 or "--multirun" not in command  # the workers of a study
        self.assert_no_mark_in_files()
        return printed.decode()

    def assert_no_mark_in_files(self) -> None:
        for path in self.folder.rglob("*"):
            assert not any(mark.decode() in path.name for mark in MARKS), path
            if path.is_file() and path not in self.own_files:
                for part in contents(path):
                    assert not any(mark in part for mark in MARKS), path


def contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def command_lines_below(pid: int) -> set[bytes]:
    """Return the command lines of the processes that a process has started."""
    found: set[bytes] = set()
    try:
        for child in children(pid):
            found |= {Path(f"/proc/{child}/cmdline").read_bytes()} | command_lines_below(child)
    except OSError:
        pass  # it has ended
    return found


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def closed_port() -> int:
    return servers.free_port()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Callable[[str], str]]:
    """Run a server that asks for passwords; yield a function that sets one and returns the host."""
    with servers.postgres("administrator") as server:

        def with_password(password: str) -> str:
            import psycopg2

            connection = psycopg2.connect(
                host="127.0.0.1", port=server.port, user="postgres", password="administrator"
            )
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("DROP DATABASE IF EXISTS runs WITH (FORCE)")
                cursor.execute("DROP ROLE IF EXISTS me")
                cursor.execute("CREATE ROLE me LOGIN PASSWORD %s", (password,))
                cursor.execute("CREATE DATABASE runs OWNER me")
            connection.close()
            return f"127.0.0.1:{server.port}/runs"

        yield with_password


@pytest.mark.parametrize("between", ["%40", ":w@ ", 'it\'s/"5"', "\\#?&,="])
def test_a_study_in_postgresql(command: Command, postgres: Any, between: str) -> None:
    password = planted(between)
    host = postgres(password if between != "%40" else planted("@"))
    url = f"postgresql+psycopg2://me:{password}@{host}"
    typed = [override("hydra.sweeper.storage", url), override("+uri", f"http://me:{password}@host")]
    command.run([*SPHERE, "--multirun", *STUDY, *typed])
    storage = optuna.storages.RDBStorage(url.replace(password, quote(password, safe="%")))
    study = optuna.load_study(study_name="s", storage=storage)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4
    assert not any(mark.decode() in str(study.user_attrs) for mark in MARKS)
    storage.engine.dispose()


def test_the_same_study_with_another_password_goes_on(command: Command, postgres: Any) -> None:
    def storage(password: str) -> str:
        return f"hydra.sweeper.storage=postgresql+psycopg2://me:{quote(password)}@{host}"

    study = [*SPHERE, "--multirun", *STUDY]
    first, second = planted("first"), planted("it's the second, \"")
    host = postgres(first)
    command.run([*study, override("+uri", f"http://me:{first}@host"), storage(first)])
    import psycopg2

    with psycopg2.connect(f"postgresql://me:{first}@{host}") as connection:
        connection.cursor().execute("ALTER ROLE me PASSWORD %s", (second,))
    connection.close()
    again = [*study, override("+uri", f"http://me:{second}@host"), storage(second)]
    printed = command.run([*again, "hydra.sweeper.n_trials=5"])
    assert "5 of 5 trials done" in printed


@pytest.mark.parametrize(("between", "full_error"), [("@%40/it's ", "1"), ("@/?@", "0")])
def test_a_storage_that_cannot_be_opened(
    command: Command, closed_port: int, between: str, full_error: str
) -> None:
    command.environment["HYDRA_FULL_ERROR"] = full_error
    url = f"postgresql+psycopg2://me:{planted(between)}@127.0.0.1:{closed_port}/runs"
    storage = override("hydra.sweeper.storage", url)
    printed = command.run([*SPHERE, "--multirun", *STUDY, storage], code=1)
    shown = f"hydra.sweeper.storage=postgresql+psycopg2://me:***@127.0.0.1:{closed_port}/runs: "
    assert f"{shown}cannot be opened" in printed


def test_a_wrong_storage_in_a_conf_file(command: Command) -> None:
    url = f"postgresql+psycopg2://me:{planted('@ %')}@127.0.0.1:port/runs"
    node = f"# @package _global_\nhydra: {{sweeper: {{storage: {url!r}}}}}"
    command.write("conf/mine/mine.yaml", node)
    options = ["--config-dir", "conf", "+mine=mine", "hydra/sweeper=sweeper", "x=1,2"]
    printed = command.run([*SPHERE, "--multirun", *options], code=1)
    assert "postgresql+psycopg2://me:***@127.0.0.1:port/runs: cannot be opened" in printed


def test_a_study_with_a_password_in_a_conf_file_and_in_the_space(command: Command) -> None:
    """The sphere application is any Hydra application; its workers read the file again."""
    query = f"?password={planted('@:')}"  # SQLite ignores it
    node = {
        "hydra": {
            "sweeper": {"storage": f"sqlite:///study.db{query}"},
            "sweep": {"subdir": "${hydra.job.num},${hydra.job.override_dirname}"},
        },
        "uri": f"http://me:{planted('/')}@host",
        "secret": planted("plain"),
        "other": "http://me:${secret}@host",
    }
    command.write("conf/mine/mine.yaml", f"# @package _global_\n{yaml.safe_dump(node)}")
    swept = [f"+way=choice('http://a:{planted()}@b','http://a:{planted(' ')}@b')"]
    line = ["--config-dir", "conf", "+mine=mine", *STUDY, *swept, f"+url=http://a:{planted()}@b"]
    command.run([*SPHERE, "--multirun", *line])
    assert "${oc.env:SWEEPER_SECRET_" in (command.folder / "multirun/s/multirun.yaml").read_text()


@pytest.mark.parametrize("launcher", ["submitit_local", "joblib", "local"])
def test_a_storage_object_that_a_launcher_hands_to_its_workers(
    command: Command, launcher: str
) -> None:
    url = f"sqlite:///{command.folder}/study.db?password={planted('/')}"  # SQLite ignores it
    storage = f"hydra.sweeper.storage={{_target_: optuna.storages.RDBStorage, url: '{url}'}}"
    typed = [storage, override("+uri", f"http://me:{planted('@')}@host")]
    command.run([*SPHERE, "--multirun", *STUDY, *typed, f"hydra/launcher={launcher}"])
    assert (launcher != "submitit_local") or list(command.folder.rglob("*.pkl"))


FAIL = """
from sweeper.training.callback import Callback


class Fail(Callback):
    def __init__(self, uri: str) -> None:
        self.uri = uri

    def on_epoch_end(self, state: object) -> None:
        raise OSError(f"cannot call {self.uri!r}")
"""


@pytest.mark.parametrize("source", ["conf", "environment"])
def test_a_study_whose_trials_fail_with_the_uri(
    command: Command, closed_port: int, source: str
) -> None:
    uri = f"http://me:{planted(' @/%40')}@127.0.0.1:{closed_port}"
    command.write("fail.py", FAIL)
    command.write("conf/tracking/mine.yaml", {"defaults": ["mlflow"], "uri": uri})
    own = ["--config-dir", "conf", "tracking=mine"]
    if source == "environment":
        command.environment["MLFLOW_TRACKING_URI"] = uri
        own = ["tracking.uri=${oc.env:MLFLOW_TRACKING_URI}"]
    line = [*own, "optimizer.lr=0.1,0.01", "hydra.sweeper.n_jobs=1", "tracking.flush_seconds=0",
            "+callbacks.mine._target_=fail.Fail", "+callbacks.mine.uri=${tracking.uri}",
            "hydra.sweeper.max_failure_rate=0", *QUICK]  # fmt: skip
    command.environment["HYDRA_FULL_ERROR"] = "1"
    printed = command.run([*SWEEPER, "--multirun", *line], code=1)
    assert "me:***@127.0.0.1" in printed
    [failure, *_] = sorted(command.folder.rglob("failure.txt"))
    assert "cannot call 'http://me:***@127.0.0.1" in failure.read_text()
    assert list(command.folder.glob("outbox/*/records.jsonl"))


@pytest.mark.parametrize("source", ["typed", "conf"])
def test_an_interrupted_run_whose_server_is_away(
    command: Command, closed_port: int, source: str
) -> None:
    def interrupt(process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None and not list(command.folder.rglob("last.pt")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)

    uri = f"http://me:{planted('it@s')}@127.0.0.1:{closed_port}"
    command.write("conf/tracking/mine.yaml", {"defaults": ["mlflow"], "uri": uri})
    conf = ["--config-dir", "conf", "tracking=mine"]
    line = [*(conf if source == "conf" else [f"tracking.uri={uri}"]), *QUICK]
    line += ["tracking.flush_seconds=0", "data.num_workers=1", "data.resident=false"]
    printed = command.run([*SWEEPER, *line, "trainer.epochs=500"], code=130, watch=interrupt)
    [resume] = [text.strip() for text in printed.splitlines() if " resume=" in text]
    assert source == "conf" or f"http://me:***@127.0.0.1:{closed_port}" in resume


@pytest.mark.parametrize("show", [["--cfg", "job"], ["--cfg", "all", "--resolve"], ["--info"]])
def test_the_config_that_hydra_shows(command: Command, show: list[str]) -> None:
    command.write("conf/tracking/mine.yaml",
                  {"defaults": ["mlflow"], "uri": f"http://me:{planted('@')}@host"})  # fmt: skip
    line = [*show, "--config-dir", "conf", "tracking=mine", f"+x=http://me:{planted('/')}@host"]
    assert "http://me:***@host" in command.run([*SWEEPER, *line])


class Guarded(http.server.BaseHTTPRequestHandler):
    """A proxy that asks for a user and a password."""

    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != server.authorization:
            return self.answer(401, {}, b"who are you?")
        headers = {k: v for k, v in self.headers.items() if k not in ("Authorization", "Host")}
        answer = urllib3.request(self.command, server.upstream + self.path, body=body,
                                 headers=headers)  # fmt: skip
        kind = answer.headers.get("Content-Type", "text/plain")
        return self.answer(answer.status, {"Content-Type": kind}, answer.data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run MLflow's server; yield its address."""
    store = ["--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", "artifacts"]
    folder = tmp_path_factory.mktemp("server")
    with servers.mlflow(folder, "server", "--workers", "1", *store) as url:
        yield url


@pytest.fixture
def guard(mlflow_server: str) -> Iterator[Callable[[str], int]]:
    """Yield a function that asks for a password on its way to the server; it returns the port."""
    proxies = []

    def start(password: str, port: int = 0) -> int:
        proxy: Any = http.server.ThreadingHTTPServer(("127.0.0.1", port), Guarded)
        proxy.upstream = mlflow_server
        proxy.authorization = f"Basic {b64encode(f'me:{password}'.encode()).decode()}"
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        proxies.append(proxy)
        return int(proxy.server_port)

    yield start
    for proxy in proxies:
        proxy.shutdown()
        proxy.server_close()


def runs_on(server: str) -> list[Any]:
    client = MlflowClient(tracking_uri=server)
    experiments = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(experiments))


@pytest.mark.parametrize("between", ["@/%20: '\""])
def test_a_study_on_a_server_that_asks_for_a_password(
    command: Command, guard: Any, mlflow_server: str, between: str
) -> None:
    before = {run.info.run_id for run in runs_on(mlflow_server)}
    port = guard(unquote(planted(between)))
    uri = override("tracking.uri", f"http://me:{planted(between)}@127.0.0.1:{port}")
    line = ["optimizer.lr=0.1,0.01", "hydra.sweeper.n_jobs=1", *QUICK, uri]
    command.run([*SWEEPER, "--multirun", *line])
    runs = [run for run in runs_on(mlflow_server) if run.info.run_id not in before]
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert not any(mark.decode() in str(run.to_dictionary()) for run in runs for mark in MARKS)
    client = MlflowClient(tracking_uri=mlflow_server)
    for run in runs:
        for artifact in client.list_artifacts(run.info.run_id):
            client.download_artifacts(run.info.run_id, artifact.path, str(command.folder))
    command.assert_no_mark_in_files()
    assert (command.folder / "config.yaml").exists()


def test_the_records_of_an_outage_are_delivered_with_the_password_of_the_moment(
    command: Command, guard: Any, mlflow_server: str, closed_port: int
) -> None:
    before = len(runs_on(mlflow_server))
    first, second = planted("first"), planted("@second")

    def uri(password: str) -> str:
        return f"http://me:{quote(password)}@127.0.0.1:{closed_port}"

    run = [*SWEEPER, *QUICK, "tracking.flush_seconds=0"]
    command.run([*run, f"tracking.uri={uri(first)}"])
    guard(second, closed_port)
    deliver = [sys.executable, "-m", "sweeper.tracking.deliver"]
    printed = command.run(deliver, code=1)
    assert f"the password of http://me:***@127.0.0.1:{closed_port} is not on record" in printed
    assert len(runs_on(mlflow_server)) == before
    command.run([*deliver, "--uri", uri(second)])
    assert len(runs_on(mlflow_server)) == before + 1
    command.run([*run, f"tracking.uri={uri(first)}"])  # the server refuses the old password
    command.environment["MLFLOW_TRACKING_URI"] = uri(second)
    command.run(deliver)
    assert len(runs_on(mlflow_server)) == before + 2
    assert not (command.folder / "outbox").exists()
