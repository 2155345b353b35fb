import errno
import subprocess
import sys
from importlib.util import find_spec

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from sweeper.cli.messages import (
    WORK,
    flag_error,
    line_for,
    run_command,
    usage_error,
    user_message,
)


@pytest.mark.parametrize("module", WORK)
def test_the_modules_that_work_exist(module) -> None:
    assert find_spec(module) is not None


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("a=b=c", "a=b=c: mismatched input '=' expecting <EOF>; type KEY=VALUE, with quotes"),
        ("a=float(x)", "a=float(x): ValueError while evaluating 'float(x)': could not convert"),
    ],
)
def test_a_parsers_message_is_one_line_without_its_drawing(override, line) -> None:
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_overrides([override])
    message = user_message(caught.value)
    assert message.startswith(line)
    assert "\n" not in message
    assert "https" not in message


def test_a_full_disk_is_no_mistake_in_the_overrides() -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    line = "No space left on device; make room, and type the same command again"
    assert line_for(error, ["optimizer.lr=1"]) == line


def test_a_wrong_flag_is_one_line_and_exit_code_2(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        usage_error("unrecognized arguments:\n--foo")
    assert end.value.code == 2
    assert capsys.readouterr().err == "unrecognized arguments: --foo; --help shows what to type\n"


def test_overrides_on_both_sides_of_a_flag_are_told_where_they_belong(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["sweeper", "model=cnn", "--multirun", "seed=1,2"])
    with pytest.raises(SystemExit, match="2"):
        flag_error("unrecognized arguments: seed=1,2")
    assert "seed=1,2: overrides stand on both sides of a flag; type all" in capsys.readouterr().err


UNREAD = """
import sys
from sweeper.cli.console import MaskedOutput
from sweeper.cli.messages import run_command

sys.stdout = {stream}

def command():
    sys.stdin.read()  # until nobody reads the output any more
    print("x" * {length})
    {after}

run_command(command, [])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an error of another type")
@pytest.mark.parametrize("flags", [(), ("-u",)], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    ("length", "after", "stream"),
    [
        (5, "pass", "sys.stdout"),
        (5, "sys.stdout.flush()", "sys.stdout"),
        (100_000, "pass", "sys.stdout"),
        (100_000, "pass", "MaskedOutput(sys.stdout)"),
    ],
)
def test_a_command_ends_quietly_when_nobody_reads_its_output(flags, length, after, stream) -> None:
    pipe = subprocess.PIPE
    code = UNREAD.format(length=length, after=after, stream=stream)
    with subprocess.Popen(
        [sys.executable, *flags, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 141)


def test_another_broken_pipe_is_no_end_of_the_output(capfd) -> None:
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(SystemExit, match="1"):
        run_command(command, ["seed=1"])
    assert "BrokenPipeError" in capfd.readouterr().err
