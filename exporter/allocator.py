"""Have the C library return memory to the system as soon as it is free.

Talks to: the C library, if it is glibc. Knows nothing of what the memory is used for.
"""

import contextlib
import ctypes

# Source: malloc.h of glibc, and mallopt(3).
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
# glibc's own value. It raises it to the size of the largest block that was freed, up to 32 MiB, and
# keeps the holes that renderings and compressed responses leave: a third of all memory.
LARGE_BYTES = 128 * 1024
# Python lets one thread work at a time, so further arenas only keep holes of their own.
ARENAS = 1


def return_early() -> None:
    """Let blocks of `LARGE_BYTES` and more go back to the system when they are freed."""
    # Other C libraries do so anyway, or have no such setting.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)
