"""The resources of this machine: number of workers, and threads and GPU of each."""

import contextlib
import functools
import itertools
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path

from sweeper.launch.limits import free_memory_bytes, most_cores

log = logging.getLogger(__name__)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
WORKER_MEMORY_BYTES = 3 * 2**29  # torch, mlflow, a small network and its data: about 1.5 GiB
GPU_NAME = re.compile(r"[0-9]+|(GPU|MIG)-.+")  # CUDA ignores any other, and all names after it
DRIVER_SECONDS = 30.0  # A driver that no process has opened needs a few seconds for each GPU.


def n_workers(n_jobs: int | str, per_gpu: int = 1) -> int:
    """Return the number of workers to run.

    `auto` is `per_gpu` workers for each GPU. Without GPUs it is one per core, as far as memory
    allows; `per_gpu` then changes nothing, which is logged.
    """
    if n_jobs not in ("auto", -1):
        return int(n_jobs)
    gpus = visible_gpus()
    if gpus:
        return len(gpus) * per_gpu
    if per_gpu > 1:
        log.warning("trials_per_gpu=%d: there is no GPU here, so it changes nothing", per_gpu)
    return max(1, min(n_cores(), _available_memory_bytes() // WORKER_MEMORY_BYTES))


def worker_environment(index: int, n: int) -> dict[str, str]:
    """Return the environment variables of worker `index` of `n`.

    Threads are divided among the workers, unless the user has set their number. GPUs are assigned
    in turn.
    """
    threads = str(max(1, n_cores() // n))
    environment = {name: os.environ.get(name, threads) for name in THREAD_VARIABLES}
    gpus = visible_gpus()
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
    return environment


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), most_cores())
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that a process may use, as in CUDA_VISIBLE_DEVICES."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = (name.strip() for name in visible.split(","))
        return [*itertools.takewhile(GPU_NAME.fullmatch, names)]
    return [str(i) for i in range(_n_gpus_of_driver())]


@functools.cache
def _n_gpus_of_driver() -> int:
    """Return the number of GPUs that the driver lists; 0 if it lists none in time."""
    if shutil.which("nvidia-smi") is None:
        return 0
    # Not torch: it would load itself and CUDA into the parent process, which needs neither.
    process = subprocess.Popen(
        ["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        listing, _ = process.communicate(timeout=DRIVER_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a process in the driver stays
            process.communicate(timeout=1)
        log.warning(
            "nvidia-smi -L has not answered in %g seconds, so no GPU is counted; name the GPUs in "
            "the environment, such as CUDA_VISIBLE_DEVICES=0,1",
            DRIVER_SECONDS,
        )
        return 0
    lines = listing.splitlines() if process.returncode == 0 else []
    return sum(line.startswith("GPU ") for line in lines)


def _available_memory_bytes() -> int:
    """Return the memory that this process may use, in bytes, or a large number if nothing tells."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return min([*free, free_memory_bytes()])
