"""What a run keeps of its command."""

from pathlib import Path

from sweeper.run.invocation import Invocation


def test_the_command_that_resumes_a_run_has_its_flags_first() -> None:
    typed = ["model=mine", "--config-dir", "my_conf", "resume=old.pt"]
    invocation = Invocation({}, [], typed, Path("run"), Path())
    command = invocation.resume_command(Path("run/last.pt"))
    assert command == "python -m sweeper --config-dir my_conf model=mine resume=run/last.pt"
