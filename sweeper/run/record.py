"""The record of a run: the params, tags, metrics and documents that the tracker receives."""

import getpass
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sweeper import trial
from sweeper.cli.git import commit_of
from sweeper.errors import MovedError, OutageError
from sweeper.files import reason_of, write_text
from sweeper.run.naming import override_key
from sweeper.secrets import masked_uri, without_password
from sweeper.summary.table import Summary
from sweeper.tracking.tags import BEST_PREFIX, CONFIG, TAG_LENGTH, below_prefix
from sweeper.tracking.tracker import DatasetInfo, Tracker
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.state import RunState
from sweeper.yaml_text import yaml_text

log = logging.getLogger(__name__)

UNRECORDED_KEYS = {
    "_target_", "search", "study", "resume", "figures", "tracking", "run_name", "tags",
}  # fmt: skip
"""The keys of a config that are not tracked, since they do not define the experiment."""


class TrackEpochs(Callback):
    """Callback that logs the metrics of every epoch to the tracker, in one write for each.

    The tracker receives those of the epochs before a resumption when it starts.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def on_epoch_end(self, state: RunState) -> None:
        self._tracker.log_metrics(tracked_metrics(state, state.epoch - 1), step=state.epoch)


def finish_failed(tracker: Tracker, error: BaseException) -> None:
    """End the record of a run that an error or an interruption has ended."""
    if isinstance(error, KeyboardInterrupt):
        tracker.finish("KILLED", "interrupted")
    else:
        reason = without_password(str(error)) or type(error).__name__
        tracker.finish(
            "KILLED" if isinstance(error, OutageError | MovedError) else "FAILED", reason
        )


def tracked_metrics(state: RunState, epoch: int) -> dict[str, float]:
    """Return the metrics to log for an epoch, counted from 0, with the best value so far."""
    values = [metrics[state.metric] for metrics in state.history[: epoch + 1]]
    best = max(values) if state.direction == "maximize" else min(values)
    # MLflow's comparison page opens with the metric that was logged first: the objective.
    return {f"{BEST_PREFIX}{below_prefix(state.metric)}": best} | state.history[epoch]


def flat_config(content: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, str]:
    """Return a config's values by dotted keys, and the option of each group by the group.

    `content` is the config as plain values, resolved and without passwords.
    """
    options = {group: option for group, option in choices.items() if group not in UNRECORDED_KEYS}
    return dict(_flattened(content, "")) | options


def searched_params(config: Mapping[str, str], searched: Mapping[str, Any]) -> dict[str, str]:
    """Return the params of a trial: those that the study searches, and no other.

    MLflow's comparison opens with the first three params that differ, so nothing else may be one.

    Args:
        config: The flat config of the trial.
        searched: The values of the trial's parameters by the keys of overrides.
    """
    keys = {override_key(key): value for key, value in searched.items()}
    return {key: config.get(key, str(value)) for key, value in keys.items()}


def chosen_params(
    config: Mapping[str, str], choices: Mapping[str, str], overrides: Sequence[str]
) -> dict[str, str]:
    """Return the params of a single run: the option of each group, and what was overridden."""
    typed = {override_key(each) for each in overrides} - choices.keys()
    below = tuple(f"{key}." for key in typed)
    return {
        key: value
        for key, value in config.items()
        if key in choices or key in typed or key.startswith(below)
    }


def config_tag(config: Mapping[str, str], params: Mapping[str, str]) -> dict[str, str]:
    """Return the tag that holds what of the flat config is no param of the run.

    The longest values are left out if a tag has no room for them; `config.yaml` has them all.
    """
    rest = {key: value for key, value in config.items() if key not in params}
    by_length = sorted(rest, key=lambda key: len(rest[key]))
    while len(text := json.dumps(rest, separators=(",", ":"))) > TAG_LENGTH:
        del rest[by_length.pop()]
    return {CONFIG: text}


def _flattened(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if key in UNRECORDED_KEYS:
            continue
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def tags(
    choices: Mapping[str, str], seed: str, own: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Return the tags of a run: the option of each group, the seed, the user and the git commit.

    `own` are tags that the user has typed.
    """
    # The user's own code, if any, is where the command was started; else sweeper's own counts.
    # A worker has imported it once, so all of its trials have the same commit.
    commit = _commit_of_worker() if trial.info() else _commit()
    source = {
        "seed": seed,
        "mlflow.user": _user(),
        "mlflow.source.name": "python -m sweeper",
        "mlflow.source.git.commit": commit,
    }
    known = dict(choices) | {key: value for key, value in source.items() if value is not None}
    return known | {key: masked_uri(str(value)) for key, value in (own or {}).items()}


def _commit() -> str | None:
    return commit_of(Path.cwd(), Path(__file__).parent)


@cache
def _commit_of_worker() -> str | None:
    return _commit()


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None  # the user of a container may have no name


def dataset_info(experiment: Experiment, source: str) -> DatasetInfo:
    """Return name, digest and profile of the data of a run; `source` is where it comes from."""
    data, profile = experiment.data, experiment.data.profile
    summary = {
        "sizes": data.sizes,
        "input_shape": profile.input_shape,
        "classes": len(profile.classes),
    }
    return DatasetInfo(profile.name, data.digest, source, json.dumps(summary))


def write_documents(
    config: str, overrides: Sequence[str], summary: Summary, folder: Path
) -> list[Path]:
    """Write config, overrides and model summary into the run's folder; return the files' paths.

    On a full disk the run goes on without them.
    """
    documents = {
        "config.yaml": config,
        "overrides.yaml": yaml_text(list(map(masked_uri, overrides))),
        "model_summary.txt": summary.table(),
    }
    try:
        for name, text in documents.items():
            write_text(folder / name, text.rstrip("\n") + "\n")
    except OSError as error:
        log.warning("%s cannot be written (%s)", folder / name, reason_of(error))
    return [path for path in map(folder.joinpath, documents) if path.is_file()]
