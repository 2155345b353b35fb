"""MLflow tags that link a run to its study, its trial, its outbox and the run it continues.

A run is referred to by MLflow's id of it or, until the server has given it one, by a key: the
name of its first outbox. Delivery finds the run by either of them.
"""

import json
from collections.abc import Mapping
from typing import Any

from sweeper.errors import ConfigError

PARENT = "mlflow.parentRunId"
"""MLflow's own tag, by which its page shows a trial's run below the parent run of the study.

In an outbox its value may be the parent run's key instead of the id."""
STUDY = "sweeper.study"
STUDY_KEY = "sweeper.study_key"
"""By what a trial's records refer to the parent run, which may be created after the trial's run."""
TRIAL = "sweeper.trial"
OUTBOX = "sweeper.outbox"
"""The run's key. A trial's run without it was made for a trial that has delivered no records."""
LAST_START = "sweeper.last_start"
"""When the last attempt at a run started, in milliseconds since 1970.

An earlier attempt that is delivered later adds its records, and does not end the run."""
RESUMED_FROM = "sweeper.resumed_from"
END_REASON = "sweeper.end_reason"
ENDED_BY_STUDY = "sweeper.ended_by_study"
"""Set if the study ended the trial's run because no record of its end was delivered."""
STATE = "sweeper.state"
PAUSED = "paused"
"""The state of a trial that may go on."""
BEST_PREFIX = "best/"
"""What the names of the best values, and of the best trial's tags, begin with."""
MODEL_KEY = "sweeper.model"
"""On a model: the record that it was made of, so that no second model is made of it."""
CONFIG = "mlflow.sweeper.config"
"""What of a run's config is no param, as JSON by key. MLflow's page hides tags of such a name."""
TAG_LENGTH = 8000
"""The most characters that MLflow stores of a tag."""


RUN_NAME = "mlflow.runName"
"""MLflow's own tag for the name of a run."""


def below_prefix(metric: str) -> str:
    """Return the name that a metric has below a prefix, such as `best/` or `best_so_far/`.

    MLflow shows one group of charts for all that is before the last slash of a name.

    >>> BEST_PREFIX + below_prefix("val/accuracy")
    'best/val_accuracy'
    """
    return metric.replace("/", "_")


def with_dotted_names(values: Any) -> Any:
    """Return tags with dotted names instead of nested mappings; `+tags.a.b=1` sets the tag a.b."""
    if not isinstance(values, Mapping):
        return values
    flat: dict[str, Any] = {}
    for name, value in values.items():
        below = with_dotted_names(value)
        inner = below.items() if isinstance(below, dict) else [("", below)]
        flat |= {f"{name}.{each}" if each else str(name): v for each, v in inner}
    return flat


def require_free_names(values: Mapping[str, object]) -> None:
    """Check that no tag of the user has a name that links runs, or that MLflow refuses.

    Raises:
        ConfigError: one has.
    """
    for name in values:
        if name == RUN_NAME:
            raise ConfigError(f"tags.{name}: the name of a run has a key; type run_name=NAME")
        if name in ("", PARENT, CONFIG) or name.startswith("sweeper."):
            raise ConfigError(
                f"tags.{name}: sweeper sets this tag; type +tags.KEY with another KEY"
            )


def config_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the config in the tags of a run; nothing if there is none."""
    try:
        config = json.loads(tags.get(CONFIG, "{}"))
    except ValueError:  # anyone may write to the server
        return {}
    return {str(k): str(v) for k, v in config.items()} if isinstance(config, dict) else {}


def of_trial(study: str, label: int | str, parent_id: str | None) -> dict[str, str]:
    """Return the tags of a trial's run. A later attempt at the trial finds the run by them.

    label: the trial's number, with the seed if the trial is run with several.
    parent_id: the id or the key of the parent run, or None if there is none.
    """
    tags = {STUDY: study, TRIAL: str(label)}
    return tags | ({PARENT: parent_id} if parent_id else {})


def parent_and_trial(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the id or key of the parent run and the trial number, or None outside a study."""
    parent, number = tags.get(PARENT), tags.get(TRIAL)
    return (parent, number) if parent and number else None


def is_study(tags: Mapping[str, str]) -> bool:
    """Return whether a run with these tags is the parent run of a study."""
    return STUDY in tags and TRIAL not in tags
