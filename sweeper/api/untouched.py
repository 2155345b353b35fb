"""The state of the process that a call from Python leaves as it was."""

import contextlib
import logging
import os
import random
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from sweeper.hydra_state import OF_AN_APPLICATION, without_singletons
from sweeper.tracking.imported import restore_levels


@contextmanager
def untouched() -> Iterator[None]:
    """Restore what Python, Hydra and NumPy have for the whole process, at the end.

    That is the folder, the environment, logging, random numbers, filters of warnings and Hydra's
    singletons. Signal handlers and `sys.argv` are restored by those who set them.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.chdir("."))
        stack.enter_context(without_singletons(*OF_AN_APPLICATION))
        for context in (_environment, _logging, _random_numbers):
            stack.enter_context(context())
        yield


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({k: v for k, v in before.items() if os.environ.get(k) != v})


@contextmanager
def _random_numbers() -> Iterator[None]:
    """Restore the random numbers of Python and NumPy, from which packages may draw on import."""
    numpy = sys.modules.get("numpy")
    before, array = random.getstate(), numpy and numpy.random.get_state()
    try:
        yield
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.random.set_state(array)


@contextmanager
def _logging() -> Iterator[None]:
    """Restore the settings of all loggers, and close the handlers of the call.

    A new configuration closes every handler that logging has on its lists, so that the caller's
    log file would get no more records. The lists are therefore empty during the call.
    """
    root, known = logging.getLogger(), logging.Logger.manager.loggerDict.values()
    loggers = [root, *(each for each in known if isinstance(each, logging.Logger))]
    before = [(g, g.level, g.handlers[:], g.propagate, g.disabled) for g in loggers]
    names, handlers = logging._handlers, logging._handlerList  # type: ignore[attr-defined]
    logging._handlers = weakref.WeakValueDictionary()  # type: ignore[attr-defined]
    logging._handlerList = []  # type: ignore[attr-defined]
    try:
        yield
    finally:
        restore_levels()  # those of loggers that the call has made
        own = [handler for handler in root.handlers if handler not in before[0][2]]
        for logger, level, its_handlers, propagate, disabled in before:
            logger.handlers, logger.propagate, logger.disabled = its_handlers, propagate, disabled
            logger.setLevel(level)
        for handler in own:
            handler.close()
        # Other libraries that were imported during the call have added handlers of their own.
        handlers.extend(logging._handlerList)  # type: ignore[attr-defined]
        names.update(logging._handlers)  # type: ignore[attr-defined]
        logging._handlers, logging._handlerList = names, handlers  # type: ignore[attr-defined]


@contextmanager
def untouched_torch() -> Iterator[None]:
    """Restore the random numbers of Python, NumPy and torch, and torch's settings.

    Within the context, gradients, the default type and the default device are those of torch, and
    not of the caller, so that a call gives the numbers of the command.
    """
    import torch  # takes seconds

    from sweeper.training.seeding import preserved_rng_state

    threads, restore_precision = torch.get_num_threads(), _kept_precision()
    benchmark = torch.backends.cudnn.benchmark
    deterministic = _deterministic()
    anomalies = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    # Such a context slows every call of torch down, so there is none without need.
    on_cpu: Any = contextlib.nullcontext() if device.type == "cpu" else torch.device("cpu")
    torch.set_default_dtype(torch.float32)
    try:
        with on_cpu, torch.inference_mode(False), torch.enable_grad(), preserved_rng_state():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        restore_precision()
        torch.backends.cudnn.benchmark = benchmark
        torch.autograd.set_detect_anomaly(*anomalies)
        if _deterministic() != deterministic:
            is_enabled, warns = deterministic
            torch.use_deterministic_algorithms(is_enabled, warn_only=warns)


def _kept_precision() -> Callable[[], None]:
    """Return a function that restores the precision of products of float32 matrices."""
    import torch

    try:
        return partial(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
    except RuntimeError:  # the caller has set it for a backend, and torch has no word for all
        on_cpu: Any = torch.backends.mkldnn
        backends = (torch.backends.cuda.matmul, on_cpu.matmul)
        kept = [(backend, backend.fp32_precision) for backend in backends]

    def restore() -> None:
        for backend, precision in kept:
            backend.fp32_precision = precision

    return restore


def _deterministic() -> tuple[bool, bool]:
    """Return whether torch's algorithms are deterministic, and whether others only warn."""
    import torch

    is_enabled = torch.are_deterministic_algorithms_enabled()
    return is_enabled, torch.is_deterministic_algorithms_warn_only_enabled()


@contextmanager
def untouched_figures() -> Iterator[None]:
    """Restore the backend of matplotlib, by which a notebook shows figures."""
    import matplotlib

    before = dict.__getitem__(matplotlib.rcParams, "backend")  # it may not be chosen yet
    try:
        yield
    finally:
        pyplot = sys.modules.get("matplotlib.pyplot")
        if dict.__getitem__(matplotlib.rcParams, "backend") != before:
            dict.__setitem__(matplotlib.rcParams, "backend", before)
            if pyplot is not None and isinstance(before, str):
                with contextlib.suppress(ImportError):
                    pyplot.switch_backend(before)
