"""How the C library hands out the memory of tensors and arrays."""

from __future__ import annotations

import ctypes
import os
import sys

#: Parameters of glibc's ``mallopt``, from its ``malloc.h``; and the largest size that it takes for the second.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20


def keep_freed_memory(at_most: int = 2**31 - 1) -> bool:
    """Keep memory that was freed for the next arrays, rather than give it back to the system each time.

    Each step of training on a CPU, and each image of an evaluation, frees what the next one takes; to clear new pages
    is a tenth of a step's processor time with glibc's own settings, and a fifth of what it takes to draw a picture.
    Arrays of more than 32 MiB still come from the system. What the environment sets (``MALLOC_TRIM_THRESHOLD_``,
    ``MALLOC_MMAP_THRESHOLD_``, ``GLIBC_TUNABLES``) stays.

    Args:
        at_most: How many bytes of freed memory may stay with the process.

    Returns:
        Whether it is so now; never where the C library is not glibc.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ) or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {_TRIM_THRESHOLD: at_most, _MMAP_THRESHOLD: _LARGEST_MMAP_THRESHOLD}
    return all(library.mallopt(name, value) == 1 for name, value in settings.items())
