"""A process of a study's command that keeps its MLflow run, and delivers the records of its trials.

The command starts it while it waits for the check of the search space. While the trials run, it
imports what the end of the study needs. So neither the command nor its workers import MLflow, and
nobody waits for it.

    python -m sweeper.sweep.recorder DESCRIPTOR     the descriptor of a socket to the command
"""

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import optuna
from hydra.core.utils import configure_log

from sweeper.cli.leaving import leave, reap
from sweeper.errors import ConfigError
from sweeper.hydra_versions import as_main
from sweeper.launch.child import start_child
from sweeper.locks import locked
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.spec import StudySpec
from sweeper.tracking.courier import VARIABLE, Courier
from sweeper.tracking.delivery import Delivery

NICENESS = 5
"""A process of this niceness gets a quarter of a processor that a process of niceness 0 wants."""
log = logging.getLogger(__name__)
OBSERVER = "sweeper.sweep.mlflow_study.MLflowStudy"
PARENT_LOCK = ".parent.lock"
"""The file in a study's folder that is locked until MLflow has the parent run, or is away."""


class Recorder:
    """The command's side of the process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, unless it was started."""
        if self._process is not None:
            return
        own, other = socket.socketpair()
        with other:
            self._process = start_child("sweeper.sweep.recorder", [other.fileno()])
        self._connection = Connection(own.detach())

    def call(self, *request: Any) -> Any:
        """Send a request to the process, which was started; return the answer.

        Raises:
            ConfigError: the request failed.
            EOFError, ConnectionError: the process has died.
        """
        self._connection.send_bytes(cloudpickle.dumps(request))
        result, error = self._connection.recv()
        if error is not None:
            raise ConfigError(error)
        return result

    def close(self) -> None:
        """End the process, if there is one. What it has not delivered stays in the outboxes."""
        os.environ.pop(VARIABLE, None)
        if self._process is None:
            return
        self._process.kill()  # first: it would call functions of `atexit` when the connection ends
        self._connection.close()
        reap(self._process)


def recorder_of(keys: Mapping[str, Any]) -> Recorder | None:
    """Return a recorder, not started, if the observers in the values of `hydra.sweeper` need it.

    A command that joins a study leaves its run to the command that has started it.
    """
    nodes = [node for node in keys.get("observers") or () if isinstance(node, Mapping)]
    targets = [node.get("_target_") for node in nodes]
    can_open_storage = isinstance(keys.get("storage"), str | None)
    is_needed = OBSERVER in targets and can_open_storage and not keys.get("join")
    return Recorder() if is_needed else None


class Recorded:
    """An observer whose calls for the study are made in the recorder's process."""

    def __init__(self, recorder: Recorder, observer: Any, spec: StudySpec, logs: Any) -> None:
        self._recorder, self.original = recorder, observer
        self._spec, self._logs = spec, logs

    def study_opened(self, study: StudyInfo) -> str | None:
        """Let the recorder open the study, and name it to the workers as their courier.

        If its process has died, open the study here; the workers then have no courier.
        """
        place = self._spec.storage, self._spec.folder
        request = dict(os.environ), self._logs, self.original, place, replace(study, storage=None)
        parent_id: str | None
        try:
            parent_id, os.environ[VARIABLE] = self._recorder.call(_open, *request)
        except (EOFError, ConnectionError):
            parent_id = self.original.study_opened(study)
        return parent_id

    def trial_started(self, *_: Any) -> None:
        """Do nothing: workers have the observer itself."""

    trial_finished = trial_started

    def study_finished(self, study: StudyInfo) -> str | None:
        """Let the recorder finish the study; do it here if its process has died."""
        page: str | None = self._ended(_finish, self.original.study_finished, study)
        return page

    def study_failed(self, study: StudyInfo, reason: str) -> None:
        """Let the recorder end the record of the study; do it here if its process has died."""
        self._ended(_fail, self.original.study_failed, study, reason)

    def _ended(
        self, apart: Callable[..., Any], here: Callable[..., Any], study: StudyInfo, *more: Any
    ) -> Any:
        os.environ.pop(VARIABLE, None)
        try:
            return self._recorder.call(apart, replace(study, storage=None), *more)
        except (EOFError, ConnectionError):
            return here(study, *more)


def recorded(
    observers: Observers, recorder: Recorder | None, spec: StudySpec, logs: Any
) -> Observers:
    """Return the observers, with those in place that are to be called in the recorder's process."""
    if recorder is None:
        return observers
    members: list[Any] = []
    for member in observers.members:
        is_apart = f"{type(member).__module__}.{type(member).__qualname__}" == OBSERVER
        members.append(Recorded(recorder, member, spec, logs) if is_apart else member)
    return Observers(members)


class _Desk:
    """The state of the recorder's process."""

    def __init__(self) -> None:
        from sweeper.sweep.storage import open_storage

        self._open_storage = open_storage
        self._drawer = ThreadPoolExecutor(1)
        self._early: Future[Any] | None = None
        self.courier = Courier(self._draw_early)
        self.observer: Any = None
        self.study: Any = None
        self.place: Any = None
        """The storage of the study, and its folder."""

    def with_storage(self, study: StudyInfo) -> StudyInfo:
        """Return the description of the study with its storage."""
        storage, folder = self.place
        return replace(study, storage=self._open_storage(storage, folder, waits=True))

    def early(self) -> Any:
        """Return the figures that were begun early, or None; wait until they are drawn."""
        try:
            return self._early.result() if self._early is not None else None
        except Exception as error:  # the end of the study draws them, and says why it cannot
            log.debug("No figure was drawn early: %s", error)
            return None

    def _draw_early(self) -> None:
        """Begin to draw: a model is that of the winner, so the search is over."""
        self._early = self._drawer.submit(
            lambda: self.observer.draw_early(self.with_storage(self.study))
        )


def _open(
    desk: _Desk, environment: dict[str, str], logs: Sequence[Any], observer: Any,
    place: tuple[Any, Any], study: StudyInfo,
) -> tuple[str | None, str]:  # fmt: skip
    os.environ.update(environment)
    with as_main():
        configure_log(*logs)
    desk.observer, desk.study, desk.place = observer, study, place
    with ExitStack() as held:
        # The recorder of another command would make a second run if it did not find the first one.
        held.enter_context(locked(study.folder / PARENT_LOCK))
        parent_id = observer.open(study)
        opening = held.pop_all()
    _leave_processor_to_trials()
    arguments = observer, desk.courier, opening
    threading.Thread(target=_prepare_end, args=arguments, daemon=True).start()
    return parent_id, desk.courier.name


def _leave_processor_to_trials() -> None:
    """Lower the priority of this process: the trials are what a study waits for."""
    os.nice(NICENESS)
    # Where Linux groups processes by session, niceness counts within a session only.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


def _prepare_end(observer: Any, courier: Courier, opening: ExitStack) -> None:
    """Import what the end of the study needs, once MLflow is imported and the run is open.

    opening: what is held until then.
    """
    with opening:
        observer.wait_until_open()
    from sweeper.sweep.picture.rehearsal import rehearse

    rehearse()
    if observer.model is not False:
        courier.write_models()
    gc.freeze()  # the collector need not visit what was imported, at the end of the study


def _finish(desk: _Desk, study: StudyInfo) -> str | None:
    page: str | None = desk.observer.finish(desk.with_storage(study), _wait(desk), desk.early)
    return page


def _fail(desk: _Desk, study: StudyInfo, reason: str) -> None:
    if desk.observer is not None:  # the error came after the study was opened
        desk.observer.fail(study, reason, _wait(desk))


def _wait(desk: _Desk) -> Callable[[], list[Delivery]]:
    """Return what waits for the delivery of the trials, and returns what is late."""
    return partial(desk.courier.wait, desk.observer.flush_seconds)


def main(descriptor: int) -> None:
    """Answer requests until the connection closes."""
    connection = Connection(descriptor)
    import sweeper.sweep.mlflow_study  # noqa: F401  # before the first request

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # as in the command itself
    # It draws and exports in several threads at once, and `catch_warnings` is of the whole process.
    warnings.simplefilter("ignore")
    desk = _Desk()
    while True:
        function: Callable[..., Any]
        function, *arguments = cloudpickle.loads(connection.recv_bytes())
        result, error = None, None
        try:
            result = function(desk, *arguments)
        except Exception as raised:
            error = str(raised) or type(raised).__name__
        connection.send((result, error))


if __name__ == "__main__":
    from sweeper.sweep import recorder  # the functions in requests are those of this module

    leave(recorder.main, int(sys.argv[1]))
