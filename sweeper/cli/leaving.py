"""The end of a process that has imported torch, Optuna or MLflow.

Such a process takes long to end: Python takes its modules apart, and then the system needs up to a
tenth of a second for its memory.
"""

import atexit
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import subprocess


def leave(main: Callable[..., object], *arguments: Any) -> NoReturn:
    """Call the main function of a process, and end the process when it returns or raises.

    Threads are waited for and functions of `atexit` are called, as at the end of any program. But
    Python does not take its modules apart, which takes long with such libraries.
    """
    code = 0
    try:
        main(*arguments)
    except KeyboardInterrupt:  # before a job could handle the signal
        code = 130
    except (ConnectionError, EOFError):  # the parent has closed the connection
        code = 1
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code and not isinstance(error.code, int):  # a text, such as that of sys.exit("text")
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    leave_with(code)


def leave_with(code: int) -> NoReturn:
    """End the process as `leave` does."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)


def reap(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a killed process in a thread, so that nobody else waits for its end."""
    try:
        threading.Thread(target=process.wait, name="reap", daemon=True).start()
    except RuntimeError:  # Python 3.12 starts no thread for a function of `atexit`
        process.wait()
