"""The memory that the C library keeps for the next batch."""

import ctypes
import platform

# Numbers of the parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_KEPT = 512 * 2**20


def keep_freed_memory() -> None:
    """Let this process keep up to 512 MiB of freed memory instead of returning it at once.

    Each batch frees its activations, and the next batch needs as much again. What was returned to
    the system comes back page by page, each cleared first. Only glibc has these parameters (see
    `man mallopt`); other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
