"""The values of `hydra.sweeper.enqueue_from`: where points of other studies and runs come from.

A source is one of

    multirun/NAME                     the folder of a study
    STORAGE NAME                      a study in a database or a journal file (`*.log`)
    mlflow:EXPERIMENT                 the finished runs of an MLflow experiment
    mlflow:EXPERIMENT@URI             the same, at this tracking URI

or a mapping with the key `from` and options. A list holds several of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.cli.overrides import to_type
from sweeper.errors import ConfigError
from sweeper.secrets import masked_uri, without_password
from sweeper.sweep.settings.setting_rules import refused
from sweeper.text import in_one_line, printable

KEY = "enqueue_from"
DEFAULT_N = 5
USES = ("points", "trials")
MLFLOW = "mlflow:"
_EXPERIMENT = re.compile(r"mlflow:(?P<name>.+?)(?:@(?P<uri>[A-Za-z][\w+.\-]*:/.*|databricks))?")
_STORED_STUDY = re.compile(r"(?P<storage>\S+://\S*|.*?\.log)(?:\s+(?P<name>.+))?")
_MUST = (
    "a study's folder, `STORAGE NAME`, mlflow:EXPERIMENT, a mapping such as "
    "{from: multirun/NAME, n: 3}, or a list of these"
)


@dataclass(frozen=True)
class Source:
    """A source of points.

    Args:
        place: Where the trials are, as the module's docstring says.
        n: Number of points to take; of `use: trials`, the number of trials. None for all.
        use: `points`: the best points are tried first. `trials`: the trials inform the sampler.
        metric: Names of the metrics in an MLflow experiment; empty for those of the study.
    """

    place: str
    n: int | None = DEFAULT_N
    use: str = "points"
    metric: tuple[str, ...] = ()

    @property
    def is_mlflow(self) -> bool:
        """True if the source is an MLflow experiment."""
        return self.place.startswith(MLFLOW)

    @property
    def experiment(self) -> tuple[str, str | None]:
        """Name of the MLflow experiment, and its tracking URI if the user gave one."""
        match = _EXPERIMENT.fullmatch(self.place)
        assert match is not None
        return match["name"], match["uri"]

    @property
    def stored_study(self) -> tuple[str, str | None] | None:
        """Storage and name of a study; None for a folder. Without a name, the only study."""
        match = _STORED_STUDY.fullmatch(self.place)
        return (match["storage"], match["name"]) if match else None

    def __str__(self) -> str:
        return f"hydra.sweeper.{KEY}={printable(masked_uri(self.place))}"

    def refused(self, reason: BaseException | str) -> ConfigError:
        """Return the error that this source cannot be used, with the reason in one line."""
        return ConfigError(f"{self}: {without_password(in_one_line(reason))}")


def read_sources(value: Any) -> tuple[Source, ...]:
    """Return the sources that a value of `hydra.sweeper.enqueue_from` names.

    Raises:
        ConfigError: the value names none.
    """
    values = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(_source(each) for each in values)


def _source(value: Any) -> Source:
    if _is_place(value):
        return Source(_unquoted(value))
    if not isinstance(value, Mapping) or not _is_place(value.get("from")):
        raise refused(KEY, value, _MUST, f"type hydra.sweeper.{KEY}=multirun/NAME")
    use = value.get("use", "points")
    rules = {
        "use": (use in USES, "points or trials"),
        "n": (_is_count(value.get("n", 1)), "a number of at least 1, or null for all"),
        "metric": (_is_names(value.get("metric")), "the name of a metric, or a list of names"),
    }
    _check_options(value, rules)
    names = value.get("metric") or ()
    metric = (names,) if isinstance(names, str) else tuple(names)
    n = value.get("n", DEFAULT_N if use == "points" else None)
    return Source(_unquoted(value["from"]), n, use, metric)


def _unquoted(value: str) -> str:
    """Return a text without its quotes; a value with a password arrives as in an override."""
    text = value.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return text[1:-1].replace("\\'", "'").strip() if is_quoted else text


def _check_options(options: Mapping[Any, Any], rules: Mapping[str, tuple[bool, str]]) -> None:
    example = to_type(f"hydra.sweeper.{KEY}={{from: multirun/NAME, n: 3}}")
    for key in options:
        if key not in ("from", *rules):
            must = f"a mapping of from, {', '.join(rules)}, without {key}"
            raise refused(KEY, options, must, example)
    for key, (is_right, must) in rules.items():
        if not is_right:
            raise refused(f"{KEY}.{key}", options[key], must, example)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_place(value: Any) -> bool:
    if not _is_text(value):
        return False
    text = _unquoted(value)
    return not text.startswith(MLFLOW) or _EXPERIMENT.fullmatch(text) is not None


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


def _is_names(value: Any) -> bool:
    names: Sequence[Any] = value if isinstance(value, list) else [value]
    return value is None or (bool(names) and all(_is_text(name) for name in names))
