"""The checkpoint that a run resumes from, and what the two must have in common."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeper import trial
from sweeper.errors import CheckpointError
from sweeper.losses import Adapter
from sweeper.training.checkpoint import checkpoint_in, read_checkpoint
from sweeper.training.experiment import Experiment
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

REMEDY = (
    "type the overrides of the checkpoint's run, or init.weights=PATH in place of resume=PATH for "
    "a new run that starts with its weights"
)
"""What to do if a run cannot resume from a checkpoint."""


def checkpoint_to_resume(resume: str | None) -> Path | None:
    """Return the path of the checkpoint to resume from, or None for a run that starts anew.

    A trial that is taken up again resumes from a checkpoint of its earlier attempt: from `last.pt`,
    or from an older `best.pt` if `last.pt` is damaged. If both are, as they are after a best epoch,
    the trial starts as its first attempt did, because it would otherwise fail at every attempt.
    """
    start = None if resume is None else checkpoint_in(Path(resume), "last.pt")
    info = trial.info()
    if info is None or info.resume_folder is None:
        return start
    damage: str | None = None
    for name in ("last.pt", "best.pt"):
        path = info.resume_folder / "checkpoints" / name
        if not path.is_file():
            continue
        problem = _problem_of(path)
        if problem is None:
            if damage is not None:
                log.warning("%s; the trial goes on from %s, an older state", damage, name)
            return path
        damage = damage or problem
    if damage is not None:
        log.warning("%s; the trial starts again from its first epoch", damage)
    return start


def _problem_of(path: Path) -> str | None:
    """Return why no run can resume from the checkpoint at `path`, or None if one can."""
    try:
        content = read_checkpoint(path)
        require_parts(content, path)
        wanted = content["identity"]
        state = RunState(0, 0, wanted["metric"], wanted["direction"])
        state.load_state_dict(content["state"])
        best_checkpoint(path, state)
    except CheckpointError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        return f"{path} is damaged"
    return None


def identity(experiment: Experiment, state: RunState) -> dict[str, Any]:
    """Return the values that a run and the checkpoint that it resumes from must have in common.

    `RESUMED` in `sweep/plan.py` names their config keys. A study does not raise a number to which
    one of them refers.
    """
    return {
        "seed": experiment.settings.seed,
        "metric": state.metric,
        "direction": state.direction,
        "loss": _criterion_text(experiment.adapter),
        "data": experiment.data.digest,
        "images of each split": experiment.data.sizes,
        "batches an epoch": state.steps_per_epoch,
        "horizon of the schedule": experiment.updates.schedule.horizon,
        "frozen": experiment.trainer.freeze or None,
        "trainer.unfreeze_at": experiment.trainer.unfreeze_at,
        # The first pattern that matches a parameter sets its factor, so the order matters.
        "trainer.lr_scale": list(experiment.trainer.lr_scale.items()) or None,
        # It sets the weight decay to zero, and the checkpoint would bring the old one back.
        "trainer.overfit": experiment.trainer.overfit or None,
    }


def _criterion_text(adapter: Adapter) -> str:
    """Return the criterion's class with its arguments, such as `MSELoss(reduction=mean)`."""
    criterion = adapter.criterion
    values: dict[str, Any] = {name: value.tolist() for name, value in criterion.named_buffers()}
    values |= {
        name: value
        for name, value in vars(criterion).items()
        if isinstance(value, int | float | str) and not name.startswith("_") and name != "training"
    }
    arguments = ", ".join(f"{name}={values[name]}" for name in sorted(values))
    return f"{type(criterion).__name__}({arguments})"


def require_identity(
    experiment: Experiment, state: RunState, saved: Mapping[str, Any], path: Path
) -> None:
    """Check that a run has the identity `saved` of the checkpoint at `path`.

    Raises:
        CheckpointError: a value differs; the message names the first one.
    """
    values = identity(experiment, state)
    if experiment.data.has_digest(saved.get("data")):  # one of an earlier version too
        del values["data"]
    require_equal(values, saved, path)


def require_equal(values: Mapping[str, Any], saved: Mapping[str, Any], path: Path) -> None:
    """Check that a checkpoint has `saved` the values of a run; one that it lacks counts as None.

    Raises:
        CheckpointError: a value differs; the message names the first one.
    """
    for name, value in values.items():
        if saved.get(name) != value:
            raise CheckpointError(
                f"{path} is of another experiment: {name} is {saved.get(name)} in the checkpoint "
                f"and {value} in this run; {REMEDY}"
            )


def best_checkpoint(last: Path, state: RunState) -> Path | None:
    """Return the path of the best checkpoint of the run that wrote `last`.

    None is returned before the end of the first epoch.

    Raises:
        CheckpointError: `last` is not the best, and `best.pt` in its folder is missing, damaged or
            of another epoch.
    """
    if state.best_epoch is None:
        return None
    if state.improved and state.batch == 0:
        return last  # a run that was killed just now may have left the best.pt of an older epoch
    best = last.parent / "best.pt"
    if not best.is_file():
        raise CheckpointError(f"{best} is missing: put the run's best.pt beside {last.name}")
    require_best(read_checkpoint(best), best, state)
    return best


def require_parts(content: Mapping[str, Any], path: Path) -> None:
    """Check that a checkpoint has what a run resumes from.

    Raises:
        CheckpointError: a part is missing, or its kind is wrong.
    """
    parts = ("identity", "state", "model", "criterion", "updates", "rng", "run")
    for name in parts:
        if not isinstance(content.get(name), Mapping):
            raise CheckpointError(f"{path} is damaged: it has no {name}")
    if not isinstance(content["state"].get("history"), list):
        raise CheckpointError(f"{path} is damaged: it has no history")


def require_best(content: Mapping[str, Any], path: Path, state: RunState) -> None:
    """Check that the checkpoint at `path` is that of the best epoch of the run.

    Raises:
        CheckpointError: it is of another epoch or of another run.
    """
    require_parts(content, path)
    history = content["state"]["history"]
    saved = history[-1].get(state.metric) if history else None
    best = state.best_value
    same_value = saved == best or (saved != saved and best != best)  # both may be nan
    if (len(history), content["state"]["batch"]) != (state.best_epoch, 0) or not same_value:
        raise CheckpointError(
            f"{path} is of epoch {len(history)}, and the run's best epoch is {state.best_epoch}: "
            "put the run's own best.pt there"
        )
