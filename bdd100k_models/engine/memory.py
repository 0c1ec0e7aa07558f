"""How the C library hands out the memory of tensors."""

from __future__ import annotations

import ctypes
import os
import sys

#: Parameters of glibc's ``mallopt``, from its ``malloc.h``; and the largest size that it takes for the second.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20


def keep_freed_memory() -> bool:
    """Keep memory that was freed for the next tensors, rather than give it back to the system each time.

    Each step of training on a CPU frees what the next one takes; to clear new pages is a tenth of its processor time
    with glibc's own settings. Tensors of more than 32 MiB still come from the system. What the environment sets
    (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_``, ``GLIBC_TUNABLES``) stays.

    Returns:
        Whether it is so now; never where the C library is not glibc.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ) or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_THRESHOLD: _LARGEST_MMAP_THRESHOLD}
    return all(library.mallopt(name, value) == 1 for name, value in settings.items())
