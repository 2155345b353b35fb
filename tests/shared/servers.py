"""Real servers in processes of their own: MLflow, PostgreSQL, and any that answers by HTTP."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from urllib3.util import Retry

SECONDS = 240


def free_port() -> int:
    """Return a port of this machine on which nothing answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str],
    url: str,
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    ends_by: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a command in a folder until the context ends; wait first until the URL answers."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        patience = Retry(SECONDS, backoff_factor=0.1, backoff_max=1)
        urllib3.request("GET", url, retries=patience)
        yield
    finally:
        os.killpg(process.pid, ends_by)
        process.wait(30)


@contextmanager
def mlflow(
    folder: Path,
    *arguments: str,
    port: int | None = None,
    ends_by: signal.Signals = signal.SIGTERM,
    **variables: str,
) -> Iterator[str]:
    """Serve a folder with a command of MLflow; yield the address."""
    port = free_port() if port is None else port
    url = f"http://127.0.0.1:{port}"
    # MLflow changes its ways where it believes to be under test. It starts the program uvicorn,
    # which lies beside Python.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-m", "mlflow", *arguments, "--port", str(port)]
    with server(command, f"{url}/health", folder, environment | variables, ends_by):
        yield url


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server, and functions that stop and start it."""

    port: int
    stop: Callable[[], None]
    start: Callable[[], None]


@contextmanager
def postgres(password: str | None = None) -> Iterator[Postgres]:
    """Run a server of the user postgres in a folder of its own.

    The server asks for this password; without one, it asks for none.
    """
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # not in the PATH
    found = debians[-1] if debians else shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed here, and this test drives the real one")
    programs = Path(found).parent
    root = os.geteuid() == 0
    as_user = ["runuser", "-u", "postgres", "--"] if root else []  # the server refuses root
    # Not below tmp_path, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="sweeper-postgres-") as folder:
        secret = Path(folder, "password")
        secret.write_text(password or "")
        if root:
            shutil.chown(folder, "postgres")
            shutil.chown(secret, "postgres")

        def run(program: str, *arguments: str) -> None:
            line = [*as_user, str(programs / program), "-D", f"{folder}/data", *arguments]
            subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        asks = ["--auth=scram-sha-256", f"--pwfile={secret}"] if password else ["--auth=trust"]
        run("initdb", "--username=postgres", "--no-sync", *asks)
        port = free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

        def start() -> None:
            run("pg_ctl", "start", "--wait", "-l", f"{folder}/log", "-o", options)

        def stop() -> None:
            run("pg_ctl", "stop", "--wait", "-m", "immediate")

        start()
        try:
            yield Postgres(port, stop, start)
        finally:
            stop()
