"""The start of a run: builds its experiment, loads a checkpoint, and opens the tracked run."""

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from sweeper import trial
from sweeper.build.option import SEARCH, all_plain
from sweeper.build.recipe import build
from sweeper.cli.waiting import waiting_for
from sweeper.concealment import masked, masked_values
from sweeper.run import record
from sweeper.run.invocation import Invocation
from sweeper.run.naming import run_name
from sweeper.run.run import Run
from sweeper.run.trust import parsed_config
from sweeper.secrets import masked_uri
from sweeper.summary.table import summarise
from sweeper.text import printable
from sweeper.tracking.tags import of_trial
from sweeper.tracking.tracker import Resumed, RunInfo
from sweeper.training.checkpoint_store import CheckpointStore
from sweeper.training.experiment import Experiment
from sweeper.training.resumption import require_equal
from sweeper.training.state import RunState
from sweeper.yaml_text import yaml_text

log = logging.getLogger(__name__)

_NOT_OF_RUN = ("study_observers", "model", "register", "system_metrics", "watch", "flush_seconds")
"""Keys of `tracking` that do not say where and as what a run is recorded."""

OF_PIXELS: dict[str, Any] = {
    **dict.fromkeys(("image_size", "mean", "std")),
    "resize": "squash",
    "background": "white",
    "eval_transform": [],
}
"""Keys of `data` that decide on the pixels of an evaluation, with the values that they have in a
config of an earlier version, which lacks them."""


def start(cfg: DictConfig, invocation: Invocation) -> Run:
    """Build the experiment of a composed config, and load the checkpoint to resume from, if any.

    Raises:
        SweeperError: the config, the data or the checkpoint cannot be used.
    """
    started = time.perf_counter()
    waiting_for("reading the data and building the network")
    with contextlib.chdir(invocation.start_folder):
        values = all_plain(cfg)
        experiment = build(values, invocation.choices, invocation.start_folder)
        state = RunState(
            epochs=experiment.trainer.epochs,
            steps_per_epoch=experiment.data.steps_per_epoch,
            metric=experiment.settings.monitored,
            direction=experiment.settings.monitored_direction,
        )
        content = masked(cfg, values)
        config = yaml_text(content)
        store = CheckpointStore(invocation.folder / "checkpoints", config)
        run_id = _resume(store, experiment, state)
        data, tracker = experiment.data, experiment.tracker
        waiting_for("measuring the network")
        summary = summarise(experiment.model, data.profile.input_shape, data.batch_size)
        waiting_for("opening the record of the run")
        tracker.start(_run_info(content, cfg, invocation, experiment, state, run_id))
        try:
            if experiment.resumed_from:
                store.copy_best_from(experiment.resumed_from, state)
            folder = invocation.folder
            for path in record.write_documents(config, invocation.overrides, summary, folder):
                tracker.log_artifact(path)
        except BaseException as error:
            record.finish_failed(tracker, error)
            raise
    of_trial = trial.info()
    # The epochs of a trial's earlier attempt are in the tracked run already, or in the outbox.
    same_tracked_run = run_id is not None or (of_trial is not None and of_trial.attempt > 0)
    n_tracked = len(state.history) if same_tracked_run else 0
    return Run(experiment, state, store, invocation, summary, n_tracked, started)


def _resume(store: CheckpointStore, experiment: Experiment, state: RunState) -> str | None:
    """Load the checkpoint of a resumed run; return the id of the tracked run to continue.

    None starts a new tracked run: for a run that is not resumed, and after a change of the config
    or of the tracking server.

    Raises:
        CheckpointError: the checkpoint cannot be used, or a setting of the optimizer, the scheduler
            or the pixels is another one.
    """
    if experiment.resumed_from is None:
        return None
    content = store.resume(experiment.resumed_from, experiment, state)
    saved = _comparable(parsed_config(content["config"], experiment.resumed_from))
    current = _comparable(OmegaConf.create(store.config))
    of_run, of_checkpoint = (
        _update_settings(config) | _data_settings(config, state) for config in (current, saved)
    )
    of_run = dict.fromkeys(of_checkpoint) | of_run
    require_equal(of_run, of_checkpoint, experiment.resumed_from)
    if _of_training(current) == _of_training(saved):
        _restore_stop_reason(content["state"].get("stop_reason"), state)
    log.info("resumed from %s after epoch %d", experiment.resumed_from, state.epoch)
    same_config = current == saved
    same_server = masked_uri(str(content["run"]["uri"])) == masked_uri(str(experiment.tracker.uri))
    run_id: str | None = content["run"]["id"]
    return run_id if same_config and same_server else None


def _comparable(config: DictConfig | ListConfig) -> dict[str, Any]:
    """Return the config without what may differ between a run and the one that resumes it."""
    content: dict[str, Any] = masked_values(OmegaConf.to_container(config))
    for key in ("resume", "run_name", "tags"):
        content.pop(key, None)
    tracking = content.get("tracking") or {}
    for key in _NOT_OF_RUN:
        tracking.pop(key, None)
    return content


def _of_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config that decides on the training."""
    return {key: value for key, value in config.items() if key not in record.UNRECORDED_KEYS}


def _restore_stop_reason(reason: object, state: RunState) -> None:
    """Stop a run again that a rule or a callback has ended; a callback would not look again."""
    if isinstance(reason, str):
        state.stop(printable(reason))


def _update_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of optimizer and scheduler, which their states in a checkpoint overrule.

    The names are those of overrides, such as `optimizer.lr`.
    """
    return {
        f"{group}.{key}": value
        for group in ("optimizer", "scheduler")
        for key, value in _node(config, group).items()
        if key != SEARCH
    }


def _data_settings(config: Mapping[str, Any], state: RunState) -> dict[str, Any]:
    """Return the settings on which the pixels that are evaluated depend, by names of overrides.

    Within an epoch, those that divide its images into batches and steps are among them, and the
    precision, in which gradients that wait for their step may be scaled.
    """
    values = OF_PIXELS | _node(config, "data")
    settings = {f"data.{key}": values[key] for key in OF_PIXELS}
    if state.batch:
        settings["data.batch_size"] = values.get("batch_size")
        for key in ("accumulate", "precision"):
            settings[f"trainer.{key}"] = _node(config, "trainer").get(key)
    return settings


def _node(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the node of a group; a config that comes out of a file may have none."""
    node = config.get(group)
    return node if isinstance(node, dict) else {}


def _run_info(
    content: Mapping[str, Any],
    cfg: DictConfig,
    invocation: Invocation,
    experiment: Experiment,
    state: RunState,
    run_id: str | None,
) -> RunInfo:
    """Return the description of the run that the tracker receives before training.

    `content` is the config, resolved and without passwords.
    """
    config = record.flat_config(content, invocation.choices)
    settings = experiment.settings
    tags = record.tags(invocation.choices, config["seed"], settings.tags)
    data_name = experiment_name = experiment.data.profile.name
    info = trial.info()
    if info is not None:
        name = f"trial {info.label}"
        tags |= of_trial(info.study, info.label, info.parent_id)
        params = record.searched_params(config, info.params)
        # That of its study, which does not read the data.
        option = invocation.choices.get("data", data_name)
        experiment_name = info.study if "data" in params else option
    else:
        name = settings.run_name or run_name(invocation.choices, invocation.overrides)
        params = record.chosen_params(config, invocation.choices, invocation.overrides)
    tags |= record.config_tag(config, params)
    return RunInfo(
        experiment=experiment_name,
        name=name,
        params=params,
        tags=tags,
        dataset=record.dataset_info(experiment, masked_uri(str(cfg.data.get("root", data_name)))),
        run_id=run_id,
        folder=invocation.folder,
        resumed=_resumed_run(experiment, state),
    )


def _resumed_run(experiment: Experiment, state: RunState) -> Resumed | None:
    """Return the folder and the epochs of the run that this one continues, if any."""
    if experiment.resumed_from is None:
        return None
    epochs = range(len(state.history))
    history = [record.tracked_metrics(state, epoch) for epoch in epochs]
    return Resumed(experiment.resumed_from.absolute().parent.parent, history)
