"""Milliseconds to claim, sample and end a trial in studies of 10, 1,000 and 10,000 trials.

    python benchmarks/ask_tell.py [--sizes 10 1000 10000] [--repeats 10] [--json FILE]

Measured with the random and the TPE sampler, on a journal file and on SQLite. A trial has five
parameters, and is claimed and ended by `sweeper.sweep.ledger`.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import Budget
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import open_study

SPACE = {f"x{i}": FloatDistribution(0, 1) for i in range(5)}


def add_trials(storage: BaseStorage, n: int) -> None:
    """Create a study with `n` complete trials."""
    study = optuna.create_study(study_name="s", storage=storage)
    rng = RandomSampler(seed=0)._rng.rng
    for _ in range(n):
        params = {name: float(rng.random()) for name in SPACE}
        study.add_trial(create_trial(params=params, distributions=SPACE, value=params["x0"]))


def run_trial(ledger: Ledger, study: optuna.Study) -> None:
    """Claim, sample and end a trial."""
    claim = ledger.claim()
    assert claim is not None
    trial = optuna.Trial(study, claim.trial_id)
    values = [trial.suggest_float(name, 0, 1) for name in SPACE]
    ledger.finish(claim, TrialState.COMPLETE, [values[0]])


def median_ms(storage: BaseStorage, sampler: BaseSampler, folder: Path, repeats: int) -> float:
    """Return the median time of a trial in milliseconds."""
    study = open_study("s", storage, sampler)
    ledger = Ledger(study, storage, folder, Budget(n_trials=None))
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run_trial(ledger, study)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1000, 10000])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results = {}
    for size in args.sizes:
        for kind in ("journal", "sqlite"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                url = None if kind == "journal" else f"sqlite:///{folder}/o.db"
                storage = open_storage(url, folder)
                add_trials(storage, size)
                for sampler in (RandomSampler(seed=1), TPESampler(seed=1, multivariate=True)):
                    key = f"{size:6} trials, {kind:7}, {type(sampler).__name__}"
                    results[key] = median_ms(storage, sampler, folder, args.repeats)
                    print(f"{key:40} {results[key]:8.1f} ms", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
