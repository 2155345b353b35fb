"""The finished runs of an MLflow experiment, as points for a study."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.cli.overrides import override_text, to_type
from sweeper.errors import ConfigError
from sweeper.secrets import masked_uri
from sweeper.sweep.elsewhere.finding import Finding, Findings
from sweeper.sweep.elsewhere.sources import Source
from sweeper.sweep.observer import Observers
from sweeper.tracking import tags
from sweeper.tracking.uri import resolve_uri, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUNS_A_PAGE = 1000


def mlflow_findings(
    source: Source, metrics: Sequence[str], directions: tuple[str, ...], observers: Observers
) -> Findings:
    """Return the finished runs of an experiment: single ones, and those of trials.

    Args:
        source: Names the experiment.
        metrics: Names of this study's objectives, unless the source has its own.
        directions: The directions of these.
        observers: The study's observers. One that records in MLflow knows the tracking URI.

    Raises:
        ConfigError: the experiment cannot be read, or no run of it has these metrics.
    """
    metrics = source.metric or tuple(metrics)
    if len(metrics) != len(directions):
        needed = "the metric of the objective" if len(directions) == 1 else "a metric per objective"
        names = "NAME" if len(directions) == 1 else ["NAME"] * len(directions)
        example = override_text({"from": masked_uri(source.place), "metric": names})
        hint = to_type(f"hydra.sweeper.enqueue_from={example}")
        raise source.refused(f"{needed} is not known; {hint}")
    try:
        runs = list(_finished_runs(source, observers))
    except ConfigError as error:
        raise source.refused(error) from error
    except Exception as error:  # MLflow, SQLAlchemy or the driver
        raise source.refused(f"MLflow cannot read it: {error}") from error
    read = [(run, _values(run.data.metrics, metrics)) for run in runs]
    findings = [Finding({}, values, _config(run)) for run, values in read if values]
    if runs and not findings:
        known = sorted({name for run in runs for name in run.data.metrics})
        raise source.refused(
            f"no finished run has the metric {', '.join(metrics)}; choose metric from "
            f"{', '.join(known) or 'none'}"
        )
    return Findings(findings, directions, "finished runs")


def _finished_runs(source: Source, observers: Observers) -> "Iterator[Run]":
    name, _ = source.experiment
    client = _client(source, observers)
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        names = [each.name for each in client.search_experiments(max_results=20)]
        raise ConfigError(f"there is no experiment {name}; choose from {', '.join(names)}")
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            "attributes.status = 'FINISHED'",
            max_results=RUNS_A_PAGE,
            page_token=token,
        )
        yield from (run for run in page if not tags.is_study(run.data.tags))
        token = page.token
        if not token:
            return


def _client(source: Source, observers: Observers) -> "MlflowClient":
    from sweeper.tracking.store import MLflowStore

    uri, folder = source.experiment[1], Path.cwd()
    if uri is None:
        uri, folder = _tracking_in_use(observers)
    resolved = resolve_uri(uri, folder)
    database = sqlite_path(resolved)
    if database is not None and not database.is_file():
        raise ConfigError(
            f"there is no MLflow database {database}; type mlflow:EXPERIMENT@URI for another one"
        )
    return MLflowStore(resolved, folder).client


def _tracking_in_use(observers: Observers) -> tuple[str | None, Path]:
    """Return the tracking URI of the study, None for the default, and the folder it refers to."""
    from sweeper.sweep.mlflow_study import MLflowStudy  # imports the tracking room

    own = next((each for each in observers.members if isinstance(each, MLflowStudy)), None)
    return (own.uri, own.folder) if own else (None, Path.cwd())


def _config(run: "Run") -> dict[str, str]:
    """Return the config of a run, of which only a part are params."""
    return tags.config_of(run.data.tags) | run.data.params


def _values(logged: Mapping[str, float], metrics: Sequence[str]) -> tuple[float, ...]:
    """Return the values of these metrics, or nothing if one is missing.

    A run logs its best value of `val/accuracy` as `best/val_accuracy`.
    """
    below = map(tags.below_prefix, metrics)
    names = [(f"{tags.BEST_PREFIX}{b}", m, b) for m, b in zip(metrics, below, strict=True)]
    values = [next((logged[n] for n in each if n in logged), None) for each in names]
    return tuple(v for v in values if v is not None) if None not in values else ()
