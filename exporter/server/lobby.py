"""Who may be here at once: the limits of a server, and the bounds that all its connections share.

Talks to: uvicorn's record of connections. May not know: bytes, HTTP, TLS.
"""

import asyncio
import enum
from collections.abc import Coroutine
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, cast

from uvicorn.server import ServerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much visitors may ask of us. Tests use small ones."""

    handshake_seconds: float = 10.0
    head_seconds: float = 10.0
    """From connecting, or from the first byte of a later request, to its last header."""
    idle_seconds: float = 75.0
    """Between two requests: longer than the usual scrape interval."""
    answer_seconds: float = 25.0
    """From the first byte of an answer until the visitor's machine has acknowledged the last."""
    linger_seconds: float = 2.0
    """For the rest of a request body that nobody asked for, after the answer to it."""
    grace_seconds: float = 4.5
    head_bytes: int = 16 * 1024
    connections: int = 256
    unread_bytes: int = 64 * 1024 * 1024
    """All answers together that visitors have not taken yet."""


class Phase(enum.IntEnum):
    """What a connection is doing, in the order in which it is sent away when there are too many."""

    CLOSING = 0
    HEAD = 1
    LINGERING = 2
    IDLE = 3
    ANSWERING = 4


class Guest(Protocol):
    """A connection, or what will become one."""

    @property
    def rank(self) -> Phase:
        """Place in the order of being sent away."""

    @property
    def since(self) -> float:
        """When its phase began, in the loop's seconds."""

    def dismiss(self) -> None:
        """Cut it now."""


class Reader(Guest, Protocol):
    """A connection that answers are on their way to."""

    def settle(self) -> None:
        """Leave `Lobby.unread` if all of it has arrived."""


class Lobby(ServerState):
    """All connections of one server, and the bounds that they share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.arrivals: set[Arrival] = set()
        self.unread: dict[Reader, int] = {}
        self._left = asyncio.Event()

    def make_room(self) -> bool:
        """Send the least useful guest away if the house is full; False if all are being answered."""
        guests = [*cast("set[Guest]", self.connections), *self.arrivals]
        if len(guests) < self.limits.connections:
            return True
        least = min(guests, key=attrgetter("rank", "since"))
        if least.rank is Phase.ANSWERING:
            return False
        least.dismiss()
        return True

    def owe(self, reader: Reader, size: int) -> None:
        """Count *size* more bytes on their way to *reader*; dismiss the oldest readers when it is too much in all."""
        self.unread[reader] = self.unread.get(reader, 0) + size
        if self._is_overdrawn():
            for other in [other for other in self.unread if other is not reader]:
                other.settle()
        for oldest in list(self.unread):
            if oldest is reader or not self._is_overdrawn():
                return
            oldest.dismiss()

    def _is_overdrawn(self) -> bool:
        # Four of the largest answer always fit, so that big accounts keep several scrapers.
        return sum(self.unread.values()) > max(self.limits.unread_bytes, 4 * max(self.unread.values()))

    def note_departure(self) -> None:
        """Wake whoever waits for the connections to be closed."""
        self._left.set()

    async def emptied(self) -> None:
        """Wait until every connection is closed and every answer has ended."""
        while self.connections or self.tasks:
            if self.tasks:
                await asyncio.wait(self.tasks)
            else:
                self._left.clear()
                await self._left.wait()


class Arrival:
    """A socket that was accepted and is not yet a connection: it may be shaking hands."""

    rank = Phase.HEAD

    def __init__(self, lobby: Lobby) -> None:
        self.since = asyncio.get_running_loop().time()
        self._lobby = lobby
        self._task: asyncio.Task[None] | None = None
        lobby.arrivals.add(self)

    def lead_in(self, welcome: Coroutine[None, None, None]) -> None:
        """Run *welcome*, which makes a connection of the socket."""
        self._task = asyncio.get_running_loop().create_task(welcome)
        self._lobby.tasks.add(self._task)  # so that a stopping server waits for it, even when dismissed
        self._task.add_done_callback(self._end)

    def become_visit(self) -> None:
        """Leave the arrivals: the connection counts from here on."""
        self._lobby.arrivals.discard(self)

    def dismiss(self) -> None:
        """Give the handshake up; its socket closes."""
        self._lobby.arrivals.discard(self)
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._lobby.arrivals.discard(self)
        self._lobby.tasks.discard(task)
