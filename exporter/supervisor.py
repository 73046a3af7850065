"""Tell the supervisor, for example systemd, that the exporter is ready, alive or stopping.

Talks to: the socket that NOTIFY_SOCKET names, and to nothing without that variable. Knows nothing
of what the exporter does. Source of the protocol: sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"
# Of the watchdog's time, so that one sign of life may be late or get lost.
SIGNS_OF_LIFE = 3


class Supervisor:
    """The supervisor of this process.

    *address* is that of its socket, None without one. It ends the process if *watchdog_seconds*
    pass without a sign of life, None if it waits for none. Like the event loop's clock, its clock
    stands still while the machine sleeps.
    """

    def __init__(self, address: str | None, watchdog_seconds: float | None) -> None:
        self._address = address
        self._watchdog_seconds = watchdog_seconds

    def tell(self, state: str) -> None:
        """Send *state*, without waiting; a supervisor that has gone is no error."""
        if self._address is None:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
            sock.sendto(state.encode(), self._address)

    async def show_life(self, is_alive: Callable[[], bool]) -> None:
        """Send a sign of life again and again while *is_alive*; return at once without a watchdog.

        It comes from the event loop, so that a loop that hangs sends none.
        """
        while self._watchdog_seconds is not None:
            if is_alive():
                self.tell(ALIVE)
            await asyncio.sleep(self._watchdog_seconds / SIGNS_OF_LIFE)


def find_supervisor(environ: Mapping[str, str]) -> Supervisor:
    """Return the supervisor that the variables in *environ* name."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Supervisor(None, None)
    # "@" stands for the NUL at the beginning of an abstract address.
    return Supervisor(address.replace("@", "\0", 1), _watchdog_seconds(environ))


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdecimal() and int(microseconds)):
        return None
    return int(microseconds) / 1e6
