"""Commands without what POSIX has: Windows, as far as Linux can imitate it."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent / "without_posix"


def test_runs_tools_and_studies_need_nothing_that_only_posix_has(tmp_path: Path) -> None:
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())]
    # The text of a file or a terminal is not UTF-8 unless it is said so.
    encoding = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, str(HERE / "commands.py")],
        cwd=tmp_path,
        env=os.environ | encoding | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for file in ("run/checkpoints/best.pt", "network.png", "run/evaluation", "predictions.png"):
        assert (tmp_path / file).exists()
    for study in ("basic", "two_workers"):
        assert (tmp_path / "multirun" / study / "best/checkpoints/best.pt").is_file()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        runs = database.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    assert runs == [("FINISHED", 7)]  # a run; two studies of two trials
    assert not list((tmp_path / "outbox").glob("*/records.jsonl"))
