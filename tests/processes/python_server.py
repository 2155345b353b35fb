"""A server that has imported what the commands import, and forks a process for each command.

    python -c "from python_server import main; main()" DESCRIPTOR STUB

The descriptor is that of a socket that listens. There `python_stub` asks to run Python with
its own arguments, descriptors, folder and environment. A forked process starts in milliseconds,
where a new Python takes seconds to import torch and MLflow. The server refuses what a fork cannot
stand for, and the stub then executes Python itself. The server ends with the process that has
started it.

The Pythons that a command starts are forked by this server too.
"""

import atexit
import builtins
import gc
import importlib
import importlib.util
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.abc import SourceLoader
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

IMPORTED = (
    *("sweeper.app", "sweeper.run.start", "sweeper.sweep.run_study", "sweeper.sweep.worker_task"),
    *("sweeper.sweep.mlflow_study", "sweeper.sweep.picture.rehearsal", "sweeper.evaluate"),
    *("optuna.importance", "mlflow.store.tracking.sqlalchemy_store"),
)
READ_WHEN_IMPORTED = ("PYTHON", "MPL", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "HOME", "XDG_")
"""The beginnings of the names of variables that libraries, or Python, read when they start."""
CAN_DIFFER = ("PYTHONPATH",)
FLAGS = ("-m", "-c", "-")


class Server:
    """The server; `stub` is the program that its own processes start in place of Python."""

    def __init__(self, listener: socket.socket, stub: str) -> None:
        self._listener, self._stub = listener, stub
        self._running: dict[int, socket.socket] = {}
        """The socket to the stub of each process."""
        self._environment = dict(os.environ)
        self._wakeup, self._writer = socket.socketpair()
        for end in (self._wakeup, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Answer stubs until standard input closes."""
        while True:
            stubs = {stub: pid for pid, stub in self._running.items()}
            watched: list[Any] = [sys.stdin, self._listener, self._wakeup, *stubs]
            ready, _, _ = select.select(watched, [], [])
            if self._wakeup in ready:
                self._wakeup.recv(4096)
                self._report_ended()
            if self._listener in ready:
                self._answer(self._listener.accept()[0])
            for stub, pid in stubs.items():
                if stub in ready and pid in self._running:
                    self._obey(stub, pid)
            if sys.stdin in ready:
                return

    def _answer(self, stub: socket.socket) -> None:
        """Fork a process for the request of a stub, or refuse it."""
        content, descriptors, *_ = socket.recv_fds(stub, 2**20, 200)
        if not content:
            return stub.close()  # it was killed
        request = marshal.loads(content)
        can = self._can_stand_for(request)
        pid = os.fork() if can else None
        if pid == 0:
            try:
                self._close(stub)
                _take(dict(zip(request["descriptors"], descriptors, strict=True)))
                _become(request, self._stub)
            except BaseException as error:
                sys.excepthook(type(error), error, error.__traceback__)
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(OSError):
            stub.send(b"refused" if pid is None else b"forked")
        if pid is None:
            return stub.close()
        self._running[pid] = stub
        return None

    def _can_stand_for(self, request: Mapping[str, Any]) -> bool:
        first = next(iter(request["arguments"]), "-i")
        if first.startswith("-") and first not in FLAGS:
            return False
        if any("submitit" in argument for argument in request["arguments"]):
            return False  # it names the files of a job by the process that it has started
        own, other = self._environment, request["environment"]
        names = {n for n in own.keys() | other.keys() if n.startswith(READ_WHEN_IMPORTED)}
        same = (_meaning(n, own) == _meaning(n, other) for n in names.difference(CAN_DIFFER))
        return all(same) and not _wants_traceback(other)

    def _obey(self, stub: socket.socket, pid: int) -> None:
        """Send a process the signal that its stub has got; kill it if its stub was killed."""
        numbers = stub.recv(64)
        if not numbers:
            self._running.pop(pid).close()
        for number in numbers or [signal.SIGKILL]:
            os.kill(pid, number)

    def _close(self, stub: socket.socket) -> None:
        """Close, in a forked process, what belongs to the server."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._wakeup, self._writer, self._listener, stub, *self._running.values()):
            each.close()

    def _report_ended(self) -> None:
        """Send the exit codes of the processes that have ended, before their ids are free."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, options)) is not None:
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                if (stub := self._running.pop(ended.si_pid, None)) is not None:
                    with suppress(OSError):
                        stub.send(str(code).encode())
                    stub.close()
                os.waitpid(ended.si_pid, 0)


def _meaning(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the value of a variable; one thread is what the tests use."""
    value = environment.get(name)
    return "1" if value is None and name.endswith("_NUM_THREADS") else value


def _wants_traceback(environment: Mapping[str, str]) -> bool:
    variable = environment.get("SWEEPER_FULL_ERROR", environment.get("HYDRA_FULL_ERROR"))
    return variable == "1"


def _take(descriptors: Mapping[int, int]) -> None:
    """Give received descriptors the numbers that they have in the stub."""
    apart = {number: os.dup2(each, 500 + i) for i, (number, each) in enumerate(descriptors.items())}
    for each in descriptors.values():
        os.close(each)
    for number, each in apart.items():
        os.dup2(each, number)
        os.close(each)


def _become(request: Mapping[str, Any], stub: str) -> NoReturn:
    """Turn this process into `python ARGUMENTS`; end when that ends."""
    if request["leads_session"]:
        os.setsid()
    gc.enable()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.modules["numpy"].random.seed()  # Python's own generator is seeded anew by the fork
    subprocess.Popen = _popen_with(stub)  # type: ignore[misc]
    code: object = 0
    try:
        _run(request["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    _leave(code)


def _run(arguments: Sequence[str]) -> None:
    """Run a program as Python does: in the `__main__` that other modules have imported."""
    sys.orig_argv, sys.argv = [sys.executable, *arguments], list(arguments)
    first = {"-m": str(Path.cwd()), "-c": "", "-": ""}.get(arguments[0])
    rest = [*_folders(os.environ.get("PYTHONPATH", "")), *_own_path]
    sys.path[:] = [_folder_of(arguments[0]) if first is None else first, *dict.fromkeys(rest)]
    importlib.invalidate_caches()
    names: dict[str, Any] = {"__spec__": None, "__package__": None}
    if arguments[0] == "-m":
        code, names = _module(arguments[1])
        sys.argv = [names["__file__"], *arguments[2:]]
    elif arguments[0] == "-c":
        code = compile(arguments[1], "<string>", "exec")
        sys.argv = ["-c", *arguments[2:]]
    elif arguments[0] == "-":
        code = compile(sys.stdin.read(), "<stdin>", "exec")
    else:
        file = Path(arguments[0]).absolute()
        code = compile(file.read_bytes(), str(file), "exec")
        names["__file__"] = str(file)
    main = sys.modules["__main__"].__dict__
    main.clear()
    main.update(names, __name__="__main__", __doc__=None, __builtins__=builtins)
    exec(code, main)


def _module(name: str) -> tuple[CodeType, dict[str, Any]]:
    """Return the code of a module, or of a package's `__main__`, and what Python says of it."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    if spec is None or not isinstance(spec.loader, SourceLoader):
        sys.exit(f"{sys.executable}: No module named {name}")
    code = spec.loader.get_code(spec.name)
    assert code is not None
    return code, {"__spec__": spec, "__loader__": spec.loader, "__package__": spec.parent,
                  "__file__": spec.origin, "__cached__": spec.cached}  # fmt: skip


def _folder_of(file: str) -> str:
    return str(Path(file).resolve().parent)


_own_path: list[str] = []
"""The folders in which Python looks for modules after those in `PYTHONPATH`."""


def _folders(variable: str) -> list[str]:
    """Return the folders in `PYTHONPATH`; an empty name is that of the working folder."""
    return [os.path.abspath(folder) for folder in variable.split(os.pathsep) if variable]  # noqa: PTH100


def _popen_with(stub: str) -> type:
    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        """Starts the stub in place of Python."""

        def __init__(self, args: Any, *more: Any, **settings: Any) -> None:
            if not isinstance(args, str | bytes | os.PathLike) and args[0] == sys.executable:
                args = [stub, *args[1:]]
            super().__init__(args, *more, **settings)

    return Popen


def _leave(code: object) -> NoReturn:
    """End the process as Python does, apart from taking its modules apart."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 120
    if code is not None and int(code) < 0:
        signal.signal(-int(code), signal.SIG_DFL)
        os.kill(os.getpid(), -int(code))
    os._exit(int(code or 0))


def main() -> None:
    """Import, and serve."""
    descriptor, stub = sys.argv[1:]
    folders = _folders(os.environ.get("PYTHONPATH", ""))
    _own_path[:] = [folder for folder in sys.path[1:] if folder not in folders]
    gc.disable()  # nothing that an import creates is garbage
    for module in IMPORTED:
        importlib.import_module(module)
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins

    from sweeper.launch.server import is_safe_to_fork

    Plugins.instance()
    OverridesParser.create().parse_override("key=[1,text]")
    gc.freeze()
    if not is_safe_to_fork():
        sys.exit("an import has started a thread, so that this server cannot fork")
    print("ready", flush=True)
    Server(socket.socket(fileno=int(descriptor)), stub).serve()
