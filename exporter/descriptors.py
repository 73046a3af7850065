"""Divide the file descriptors of the process between clients, gateways and everything else.

Talks to: the kernel, for the limit on file descriptors. Knows nothing of what they are used for.
"""

import contextlib
import errno
import os
import resource

# More connections of clients than any sensible number of scrapers and browsers; each costs memory.
MOST_OF_CLIENTS = 256
# Listeners, log, event loop, files, and two for each of the 16 names that are looked up at a time.
RESERVED = 64
UNLIMITED = 1 << 20


def raise_limit() -> None:
    """Raise the soft limit of this process to the hard one, as every Go program does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some sandboxes forbid it. What there is must do then.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_clients() -> int:
    """Return how many connections of clients leave enough descriptors for everything else."""
    return min(MOST_OF_CLIENTS, _limit() // 2)


def for_gateways() -> int:
    """Return how many connections to gateways may be open at a time, at least one."""
    limit = _limit()
    return max(1, limit - for_clients() - min(RESERVED, limit // 4))


def are_used_up() -> bool:
    """Whether no further descriptor can be had at the moment.

    The resolver's own error does not say so: it looks like a name that does not exist.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in {errno.EMFILE, errno.ENFILE}
    return False


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft
