"""MLflow's system metrics: use of processor, memory, disk, network and GPU while a run goes on.

MLflow's own thread writes them to the server, and ends if it is away. Here they go where the other
metrics of the run go.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sweeper.errors import ConfigError
from sweeper.text import in_one_line
from sweeper.tracking.imported import import_mlflow

if TYPE_CHECKING:
    from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

log = logging.getLogger(__name__)

PREFIX = "system/"
SECONDS = 10.0
"""Between two samples, as with MLflow; `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` changes it."""
_LONGEST_END = 5.0  # seconds; MLflow may still be imported when a short run ends


def require_psutil() -> None:
    """Check that the package is installed with which MLflow measures.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("psutil") is None:
        raise ConfigError(
            "tracking.system_metrics=true needs psutil, which is not installed: type python -m "
            "pip install psutil, or with uv: python -m uv run --extra system-metrics python -m "
            "sweeper ..."
        )


class SystemMetrics:
    """A thread that measures at once, then regularly, and once more when it is finished."""

    def __init__(self, log_metrics: Callable[[Mapping[str, float], int], None]) -> None:
        self._log_metrics = log_metrics
        self._closing = threading.Event()
        self._is_late = False
        """Set if the run has ended before the thread has."""
        self._thread = threading.Thread(target=self._run, name="system metrics", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Measure a last time and end; what is measured later than that is not recorded."""
        self._closing.set()
        self._thread.join(_LONGEST_END)
        self._is_late = self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._measure()
        except Exception as error:  # a driver may raise anything; the run goes on without
            log.warning("tracking: the system metrics ended: %s", in_one_line(error))

    def _measure(self) -> None:
        import_mlflow()
        from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

        seconds = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or SECONDS)
        monitors = list(_monitors())
        step, is_last = 0, False
        while not is_last:
            is_last = self._closing.is_set()
            sample = _sample(monitors)
            if self._is_late:
                return
            self._log_metrics(sample, step)
            step += 1
            if not is_last:
                self._closing.wait(seconds)


def _sample(monitors: "list[BaseMetricsMonitor]") -> dict[str, float]:
    metrics: dict[str, float] = {}
    for monitor in monitors:
        monitor.collect_metrics()
        metrics |= {f"{PREFIX}{name}": float(v) for name, v in monitor.aggregate_metrics().items()}
        monitor.clear_metrics()
    return metrics


def _monitors() -> "Iterator[BaseMetricsMonitor]":
    """Yield MLflow's monitors of this machine; a GPU needs the package nvidia-ml-py or pyrsmi."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    yield from (CPUMonitor(), DiskMonitor(), NetworkMonitor())
    for monitor in (GPUMonitor, ROCMMonitor):
        try:
            yield monitor()
        except Exception as error:  # as MLflow does it: there is no such GPU, or no package for it
            log.debug("tracking: no %s: %s", monitor.__name__, error)
            continue
        return
