"""Tell what a connection is doing, and since when.

Pure: the two states of h11 and times in, a phase out. Knows no socket and no uvicorn.
"""

from enum import Enum, auto

import h11


class Phase(Enum):
    """What a connection is doing. Each phase has a deadline, see `limits.DEADLINES`."""

    HANDSHAKE = auto()
    """The connection is accepted but not yet ready for HTTP."""
    HEAD = auto()
    """The client owes a request head."""
    REQUEST = auto()
    """The application owes a response."""
    DISCARD = auto()
    """The response is complete; the client still sends a request body that nobody reads."""
    IDLE = auto()
    """Nobody owes anything: the connection is kept for a further request."""
    CLOSE = auto()
    """The connection is about to be closed."""


def phase_of(
    ours: type,
    theirs: type,
    *,
    closing: bool,
    answered: bool,
    waiting: bytes,
) -> Phase:
    """Return the phase of a connection after its handshake.

    *ours* and *theirs* are h11's states of the server and the client. *closing* tells whether the
    transport is closing, *answered* whether a response was completed on this connection, and
    *waiting* is what was received but not parsed yet.
    """
    if closing:
        return Phase.CLOSE
    if ours is h11.IDLE:
        # The first head is due from the start, a later one only from its first byte.
        if answered and not waiting:
            return Phase.IDLE
        return Phase.HEAD
    if ours is h11.DONE and theirs is h11.SEND_BODY:
        return Phase.DISCARD
    if ours is h11.SEND_RESPONSE or ours is h11.SEND_BODY:
        return Phase.REQUEST
    return Phase.CLOSE


class PhaseClock:
    """Remember since when a connection has been in its phase, in seconds of any one clock."""

    def __init__(self, now: float) -> None:
        self._phase = Phase.HANDSHAKE
        self.since = now

    def observe(self, phase: Phase, now: float) -> None:
        """Restart the clock if the phase changed; receiving more bytes does not extend it."""
        if phase is not self._phase:
            self.restart(phase, now)

    def restart(self, phase: Phase, now: float) -> None:
        """Start the clock at *now*, even if an equal phase has just ended."""
        self._phase = phase
        self.since = now
