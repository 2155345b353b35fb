"""Seconds around the trials of a study: before the first one, after the last one, for a new worker.

    python benchmarks/startup.py [--repeats 3] [--data FOLDER] [--study cnn|noop] [--json FILE]

`cnn` is a study of four trials of the small network on 10,000 images of MNIST, and `noop` one of
four trials that only sleep. Each row is the median of the repeats:

    first batch     from the start of the command to the first batch of the first trial
    prompt          from the end of the last trial to the end of the command
    new worker      from the `kill -9` of a worker to the first batch of the one that replaces it
    processor time  of the command and all its processes, without that of the trials for `noop`

The data is decoded into a cache of its own before, and MLflow's database is new in each repeat.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
APP = HERE / "noop" / "app.py"
ROWS = ("first batch", "prompt", "new worker", "processor time")


def command(study: str, data: str, marks: Path) -> list[str]:
    """Return the command of a study whose trials append to `marks` when they start."""
    if study == "noop":
        return [
            *(sys.executable, str(APP), "--multirun", "hydra/sweeper=sweeper"),
            *("hydra/launcher=local", "x=interval(-3,3)", "seconds=1", f"marks={marks}"),
            "hydra.sweeper.n_trials=4",
        ]
    return [
        *(sys.executable, "-m", "sweeper", "--multirun", "search=cnn", "data=mnist"),
        *(f"data.root={data}", "trainer.epochs=1", "trainer.train_limit=10000"),
        *("trainer.val_limit=2000", "hydra.sweeper.n_trials=4"),
        *("+callbacks.mark._target_=first_batch.Mark", f"+callbacks.mark.path={marks}"),
    ]


def marks_in(path: Path) -> list[tuple[int, float]]:
    """Return the process and the time of each start of a trial."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), float(line.split()[1])) for line in lines]


def last_end(folder: Path) -> float:
    """Return the time at which the last trial of the study in `folder` ended."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    [journal] = folder.glob("multirun/*/journal.log")
    storage = JournalStorage(JournalFileBackend(str(journal)))
    [name] = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    return max(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)


def environment() -> dict[str, str]:
    path = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def undisturbed(study: str, data: str) -> Iterator[tuple[str, float]]:
    """Run a study; yield the seconds before its first trial and after its last one."""
    with tempfile.TemporaryDirectory() as name:
        folder, used = Path(name), _processor_seconds()
        started = time.time()
        subprocess.run(
            command(study, data, folder / "marks"), cwd=folder, env=environment(), check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        ended = time.time()
        yield "first batch", min(t for _, t in marks_in(folder / "marks")) - started
        yield "prompt", ended - last_end(folder)
        yield "processor time", _processor_seconds() - used


def with_a_killed_worker(study: str, data: str) -> Iterator[tuple[str, float]]:
    """Run a study and kill its first worker; yield the seconds until another one has a trial."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        marks = folder / "marks"
        process = subprocess.Popen(
            [*command(study, data, marks), "hydra.sweeper.n_jobs=1"],
            cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not marks_in(marks):
            time.sleep(0.01)
        pid, _ = marks_in(marks)[0]
        time.sleep(0.5)  # into its first trial
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        while all(other == pid for other, _ in marks_in(marks)):
            time.sleep(0.01)
        yield "new worker", next(t for other, t in marks_in(marks) if other != pid) - killed
        process.send_signal(signal.SIGTERM)
        process.wait()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(study: str, data: str, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each row in each repeat, after one run that fills the caches."""
    list(undisturbed(study, data))
    seconds: dict[str, list[float]] = {row: [] for row in ROWS}
    for _ in range(repeats):
        for row, value in (*undisturbed(study, data), *with_a_killed_worker(study, data)):
            seconds[row].append(value)
    return seconds


def main() -> None:
    """Print the medians and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", default="data", help="folder of MNIST")
    parser.add_argument("--study", choices=["cnn", "noop"], nargs="*", default=["cnn", "noop"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cache = tempfile.mkdtemp()
    os.environ["SWEEPER_CACHE"] = cache
    data = str(Path(args.data).absolute())
    results = {study: measured(study, data, args.repeats) for study in args.study}
    shutil.rmtree(cache)
    print(f"{'seconds':16}" + "".join(f"{study:>10}" for study in results))
    for row in ROWS:
        medians = (statistics.median(seconds[row]) for seconds in results.values())
        print(f"{row:16}" + "".join(f"{value:10.2f}" for value in medians))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
