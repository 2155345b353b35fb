"""What stands for Python in a test: `python_server` forks a process that runs the command.

    python -IS python_stub.py SOCKET PYTHON ARGUMENTS...

The process gets this one's descriptors, folder, environment and signals, and this one ends as it
does. What the server refuses to run, `PYTHON ARGUMENTS...` runs in place of this. A start costs
what these imports cost, so there are none but Python's own in C.
"""

import _signal
import _socket
import marshal
import os
import sys

FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1,
             _signal.SIGUSR2)  # fmt: skip


def request(server: _socket.socket, arguments: list[str]) -> None:
    descriptors = []
    for number in range(200):
        try:
            if os.get_inheritable(number):
                descriptors.append(number)
        except OSError:
            continue  # not open
    content = {
        "arguments": arguments,
        "descriptors": descriptors,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "leads_session": os.getsid(0) == os.getpid(),
    }
    packed = b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)
    server.sendmsg([marshal.dumps(content)], [rights])


def main(address: str, python: str, *arguments: str) -> None:
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    server.connect(f"\0{address}")
    request(server, list(arguments))
    for number in FORWARDED:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, lambda number, _: server.send(bytes([number])))
    if server.recv(64) == b"refused":
        os.execv(python, [python, *arguments])
    code = int(server.recv(64) or b"1")
    if code < 0:
        if -code in FORWARDED:
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main(*sys.argv[1:])
