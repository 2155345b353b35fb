"""Trials a second of a task that does nothing, by storage and number of workers.

    python benchmarks/storages.py [--workers 1 2 8 32] [--trials 200] [--json FILE]
                                  [--postgres URL]

The storages are a journal file, SQLite and PostgreSQL. Without `--postgres`, a server is started in
a temporary folder if PostgreSQL is installed. The rate is that of the middle half of the trials, so
neither the start of the processes nor their end counts. A row also shows the largest number of
workers that had a trial at once, and the errors that the workers logged.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from sweeper.sweep.storage import open_storage

APP = Path(__file__).parent / "noop" / "app.py"
SPACE = ["x=interval(-3,3)", "y=range(0,5)"]


@contextmanager
def postgres() -> Iterator[str | None]:
    """Run a PostgreSQL server; yield its URL, or None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        yield None
        return
    programs = (found[-1] if found else Path(str(on_path))).parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="sweeper-postgres-") as folder:
        if as_user:
            shutil.chown(folder, "postgres")

        def call(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), "-D", f"{folder}/data", *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        call("initdb", "--username=postgres", "--auth=trust")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        call("pg_ctl", "start", "--wait", "-l", f"{folder}/log", "-o", options)
        try:
            yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "--wait", "-m", "fast")


def measure(storage: str, workers: int, trials: int, sampler: str) -> dict[str, Any]:
    """Run a study; return its rate and what went wrong."""
    name = f"w{workers}-{sampler}"
    with tempfile.TemporaryDirectory() as cwd:
        url = storage.format(folder=cwd)
        settings = {"n_trials": trials, "n_jobs": workers, "study_name": name, "storage": url}
        command = [sys.executable, str(APP), "--multirun", "hydra/sweeper=sweeper",
                   "hydra/launcher=local", f"hydra/sweeper/sampler={sampler}",
                   "hydra/sweeper/pruner=none", "hydra.output_subdir=null",
                   *(f"hydra.sweeper.{k}={v}" for k, v in settings.items()), *SPACE]  # fmt: skip
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        logs = [path.read_text() for path in Path(cwd).rglob("stdout.log")]
        study = optuna.load_study(study_name=name, storage=open_storage(url, Path(cwd)))
        found = study.trials
    assert [t.state.name for t in found] == ["COMPLETE"] * trials
    ends = sorted(t.datetime_complete for t in found if t.datetime_complete)
    first, last = ends[trials // 4], ends[3 * trials // 4]
    errors = [line for log in logs for line in log.splitlines() if "rror" in line or "lock" in line]
    rate = (trials // 2) / (last - first).total_seconds()
    return {"trials per second": round(rate, 1), "errors": len(errors)}


def main() -> None:
    """Print the table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8, 32])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--storages", nargs="+", default=["journal", "sqlite", "postgresql"])
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--postgres", help="URL of a server")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {}
    with postgres() as started:
        urls = {"journal": "{folder}/j.log", "sqlite": "sqlite:///{folder}/s.db"}
        urls |= {"postgresql": args.postgres or started} if args.postgres or started else {}
        for storage in args.storages:
            for workers in args.workers:
                row = measure(urls[storage], workers, args.trials, args.sampler)
                results[f"{storage}, {workers} workers"] = row
                print(f"{storage:12} {workers:3} workers  {row}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
