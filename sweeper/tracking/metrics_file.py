"""A tracker that records a run as plain files, for a spreadsheet or pandas; it needs no server.

    <folder of the run>/metrics.csv    a row for each epoch; the last one has the final scores too
    <folder of the run>/hparams.yaml   the params of the run

The names are those of Lightning's CSVLogger.
"""

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path

from sweeper.files import reason_of, write_text
from sweeper.objectives import TEST
from sweeper.tracking.tracker import NullTracker, RunInfo
from sweeper.yaml_text import yaml_text

log = logging.getLogger(__name__)

METRICS, PARAMS, STEP = "metrics.csv", "hparams.yaml", "step"


class CsvTracker(NullTracker):
    """A tracker for one run at a time. A resumed run keeps the rows of its finished epochs.

    Only metrics and params are written: the run's folder has its documents and figures already.
    """

    def __init__(self) -> None:
        self._folder = Path()
        self._rows: dict[int, dict[str, str]] = {}
        self._failed = False

    def start(self, info: RunInfo) -> None:
        """Begin a run; take over the rows of the finished epochs if it resumes another run.

        The test scores of a run that had ended are left out.
        """
        self._folder, resumed = info.folder, info.resumed
        history = resumed.history if resumed else ()
        earlier = rows_of(resumed.folder / METRICS) if resumed else {}
        self._rows = {
            step: {name: cell for name, cell in row.items() if not name.startswith(TEST)}
            for step, row in earlier.items()
            if step <= len(history)
        }
        for epoch, metrics in enumerate(history, start=1):
            self._add(metrics, epoch)
        self._write(PARAMS, yaml_text({key: _plain(text) for key, text in info.params.items()}))
        self._write(METRICS, self._text())

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of one step; later ones of the same step are added to its row."""
        self._add(metrics, step)
        self._write(METRICS, self._text())

    def _add(self, metrics: Mapping[str, float], step: int) -> None:
        row = self._rows.setdefault(step, {})
        row |= {name: repr(float(value)) for name, value in metrics.items()}

    def _text(self) -> str:
        """Return all rows by their step, with a column for each metric that any of them has."""
        names = dict.fromkeys(name for row in self._rows.values() for name in row)
        text = io.StringIO()
        writer = csv.DictWriter(text, [STEP, *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows({STEP: step, **self._rows[step]} for step in sorted(self._rows))
        return text.getvalue()

    def _write(self, name: str, text: str) -> None:
        """Replace a file; on a full disk the run goes on, and says so once."""
        try:
            write_text(self._folder / name, text)
        except OSError as error:
            if not self._failed:
                log.warning("tracking: %s is not up to date (%s)", name, reason_of(error))
            self._failed = True


def rows_of(file: Path) -> dict[int, dict[str, str]]:
    """Return the rows of a file by their step, without empty cells; none if there is no file.

    Rows without a step, which anyone may have typed, are left out.
    """
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        rows = list(csv.DictReader(lines))
    return {
        int(step): {name: cell for name, cell in row.items() if name and name != STEP and cell}
        for row in rows
        if (step := row.get(STEP) or "").isdecimal()
    }


def _plain(text: str) -> int | float | str:
    """Return the number that a param is, or its text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
