"""Commands and code of the README, run as they are printed."""

import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_callback_of_the_readme_ends_a_run(python, tmp_path) -> None:
    section = README.partition("## Your own callback")[2].partition("\n## ")[0]
    code, command = re.findall(r"(?:^    .*\n|^\n(?=\n*    ))+", section, re.MULTILINE)
    (tmp_path / "my_callbacks.py").write_text(textwrap.dedent(code))
    words = shlex.split(textwrap.dedent(command))
    assert words[:3] == ["python", "-m", "sweeper"]
    quiet = ["tracking=none", "figures=false"]
    done = subprocess.run(
        [python, *words[1:], *quiet], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^stopped +good enough after [\d.]+ s$", done.stdout, re.MULTILINE)
