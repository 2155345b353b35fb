"""Let this project lack on Linux what Python lacks on Windows. Each process imports this first.

Libraries still see Linux, since they ask for the name of the system. Files are as on Windows for
all of them: what is open can neither be moved nor deleted, and nothing is renamed onto another.
"""

# ruff: noqa: PTH118, PTH119, PTH120, PTH208, PTH115, PTH123  pathlib calls what is replaced

import builtins
import multiprocessing
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import types

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "curses"}
LACKING = {
    os: (
        *("fork", "register_at_fork", "getuid", "geteuid", "getgid", "mkfifo", "killpg", "setsid"),
        *("getpgid", "nice", "pread", "pwrite", "O_NOFOLLOW", "waitid", "pidfd_open", "uname"),
        *("sched_getaffinity", "chown", "fchmod", "getloadavg", "statvfs", "wait", "sysconf"),
    ),
    signal: (
        *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGQUIT", "alarm"),
        *("setitimer", "pidfd_send_signal", "pthread_sigmask", "pthread_kill", "pause"),
    ),
    select: ("poll", "epoll"),
    socket: ("AF_UNIX", "SO_PEERCRED", "SOCK_SEQPACKET", "send_fds", "recv_fds"),
}


class Lacking(types.ModuleType):
    """A module without some of its attributes."""

    def __init__(self, module: types.ModuleType, names: tuple[str, ...]) -> None:
        super().__init__(module.__name__)
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> object:
        if name in self._names:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        return getattr(self._module, name)


def is_own(name: object) -> bool:
    """Return whether a module of this name is a part of this project."""
    return str(name).partition(".")[0] in ("sweeper", "hydra_plugins")


def lack() -> None:
    multiprocessing.set_start_method("spawn")
    shutil._use_fd_functions = False
    stand_ins = {module.__name__: Lacking(module, names) for module, names in LACKING.items()}
    import_module = builtins.__import__

    def import_as_on_windows(name, globals=None, *rest, **named):
        if is_own((globals or {}).get("__name__")):
            if name in MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in stand_ins:
                return stand_ins[name]
        return import_module(name, globals, *rest, **named)

    builtins.__import__ = import_as_on_windows
    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, refusing_open_files(getattr(os, name), name))
    start = subprocess.Popen.__init__

    def start_as_on_windows(self, *args, **options):
        posix = {"pass_fds", "start_new_session", "preexec_fn"} & options.keys()
        if posix and is_own(sys._getframe(1).f_globals.get("__name__")):
            raise ValueError(f"{posix} not supported on Windows platforms")
        start(self, *args, **options)

    subprocess.Popen.__init__ = start_as_on_windows


def refusing_open_files(function, name):
    """Return a function of `os` that does not touch files that this process has open."""

    def call(path, *rest, **options):
        if options.get("dir_fd") is None:
            for each in (path, *rest[:1]):
                if (found := opened_at(os.fsdecode(each))) is not None:
                    raise PermissionError(13, f"{found} is open", each)
            if name == "rename" and os.path.lexists(rest[0]):
                raise FileExistsError(17, "it exists", rest[0])
        return function(path, *rest, **options)

    return call


def opened_at(path: str) -> str | None:
    """Return an open or mapped file at this path or below it, or None."""
    path = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    files = []
    for number in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    with open("/proc/self/maps", "rb") as maps:
        files += [os.fsdecode(line[73:].strip()) for line in maps if b"/" in line]
    return next((f for f in files if f == path or f.startswith(path + "/")), None)


lack()
