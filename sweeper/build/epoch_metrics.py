"""The check that the metrics of a run are measured on its data."""

from collections.abc import Sequence

from sweeper.errors import ConfigError
from sweeper.objectives import METRICS, SIZES, LabelType, epoch_metrics, headline
from sweeper.text import near_names


def require_epoch_metrics(metrics: Sequence[str], label_type: LabelType, data: str) -> None:
    """Check that all metrics are measured for labels of this type; `data` is the data option.

    Raises:
        ConfigError: a metric is not; the message lists those that are.
    """
    measured = epoch_metrics(label_type)
    for name in metrics:
        if name in (*measured, *SIZES):
            continue
        near = _near_metric(name, measured)
        if name not in METRICS and near is not None:
            raise ConfigError(
                f"metric={name}: data={data} has no such metric; did you mean {near}?"
            )
        raise ConfigError(
            f"metric={name}: data={data} is measured by {', '.join(measured)}; "
            f"type metric={headline(label_type)}"
        )


def _near_metric(name: str, measured: Sequence[str]) -> str | None:
    """Return the metric whose measure is similar, or begins alike; of the validation by default."""
    split, _, measure = name.rpartition("/")
    names = {each.rpartition("/")[2] for each in measured}
    begins = [each for each in sorted(names) if measure and each.startswith(measure.lower())]
    near = begins or near_names(measure, names)
    if near:
        return f"{split}/{near[0]}" if f"{split}/{near[0]}" in measured else f"val/{near[0]}"
    return next(iter(near_names(name, SIZES)), None)
