import platform
import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource
from sweeper.training.freed_memory import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * 20_000_000 for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

page_faults()
without = page_faults()
keep_freed_memory()
page_faults()
print(without, page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can keep freed memory")
def test_freed_memory_comes_back_without_page_faults() -> None:
    command = [sys.executable, "-c", PAGE_FAULTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert before > 1000
    assert after < before / 100
