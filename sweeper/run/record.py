"""What of a run goes on record: its config, its epochs and its outcome."""

import getpass
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.summary.table import Summary
from sweeper.tracking.tags import of_trial
from sweeper.tracking.tracker import DatasetInfo, Tracker
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.state import RunState
from sweeper.trial import TrialInfo

UNRECORDED = {"_target_", "search", "study", "resume", "figures", "tracking"}
"""Keys that say nothing of the experiment itself."""


class TrackEpochs(Callback):
    """Hands every epoch to the tracker in one write, those of before a resume first."""

    def __init__(self, tracker: Tracker, n_tracked: int) -> None:
        self._tracker = tracker
        self._n_tracked = n_tracked

    def on_fit_start(self, state: RunState) -> None:
        for epoch in range(self._n_tracked, len(state.history)):
            self._write(state, epoch)

    def on_epoch_end(self, state: RunState) -> None:
        self._write(state, state.epoch - 1)

    def _write(self, state: RunState, epoch: int) -> None:
        self._tracker.log_metrics(tracked_metrics(state, epoch), step=epoch + 1)


def tracked_metrics(state: RunState, epoch: int) -> dict[str, float]:
    """Return what is tracked of an epoch, counted from 0: its metrics, and the best so far."""
    so_far = [metrics[state.metric] for metrics in state.history[: epoch + 1]]
    best = max(so_far) if state.direction == "maximize" else min(so_far)
    # MLflow's page of a comparison opens on the metric that came first: the objective.
    return {f"best/{state.metric.replace('/', '_')}": best} | state.history[epoch]


def flat_params(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the experiment's config as dotted keys, with each group's option by its name."""
    content = OmegaConf.to_container(cfg, resolve=True)
    options = {group: option for group, option in choices.items() if group not in UNRECORDED}
    return dict(_flattened(content, "")) | options


def _flattened(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if key in UNRECORDED:
            continue
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def tags(choices: Mapping[str, str], seed: str) -> dict[str, str]:
    """Return the option of each group, the seed, who ran it and the commit of the code."""
    source = {
        "seed": seed,
        "mlflow.user": _user(),
        "mlflow.source.name": "python -m sweeper",
        # An own network lies where the command was started; else the code is this package's.
        "mlflow.source.git.commit": _git_commit(Path.cwd()) or _git_commit(Path(__file__).parent),
    }
    return dict(choices) | {key: value for key, value in source.items() if value is not None}


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None  # a container's user may have no name


def _git_commit(folder: Path) -> str | None:
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None  # no git here
    return done.stdout.strip() or None


def dataset_info(experiment: Experiment, source: str) -> DatasetInfo:
    """Return what identifies the data of a run."""
    data, profile = experiment.data, experiment.data.profile
    shown = {
        "sizes": data.sizes,
        "input_shape": profile.input_shape,
        "classes": len(profile.classes),
    }
    return DatasetInfo(profile.name, data.digest, source, json.dumps(shown))


def trial_tags(info: TrialInfo) -> dict[str, str]:
    """Return what ties a trial's run to its study, and a later attempt to the same run."""
    return of_trial(info.study, info.number, info.parent_id)


def write_documents(
    config: str, overrides: Sequence[str], summary: Summary, folder: Path
) -> list[Path]:
    """Write the resolved config, the overrides and the table of layers into the run's folder."""
    documents = {
        "config.yaml": config,
        "overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(list(overrides))),
        "model_summary.txt": summary.table(),
    }
    for name, text in documents.items():
        (folder / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return [folder / name for name in documents]
