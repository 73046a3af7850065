"""Who has to leave when there are too many, or when too much is unread."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter.server.lobby import Arrival, Limits, Lobby, Phase


@dataclass(eq=False)
class FakeGuest:
    lobby: Lobby
    rank: Phase
    since: float
    has_taken_all: bool = False
    dismissals: list[str] = field(default_factory=list)

    def dismiss(self) -> None:
        self.dismissals.append("dismissed")
        self.lobby.connections.discard(self)  # type: ignore[arg-type]
        self.lobby.unread.pop(self, None)

    def settle(self) -> None:
        if self.has_taken_all:
            self.lobby.unread.pop(self, None)


def a_lobby(
    *guests: tuple[Phase, float], connections: int = 3, unread_bytes: int = 100
) -> tuple[Lobby, list[FakeGuest]]:
    lobby = Lobby(Limits(connections=connections, unread_bytes=unread_bytes))
    crowd = [FakeGuest(lobby, rank, since) for rank, since in guests]
    lobby.connections.update(crowd)  # type: ignore[arg-type]
    return lobby, crowd


def test_while_there_is_room_nobody_leaves() -> None:
    lobby, crowd = a_lobby((Phase.HEAD, 1), (Phase.IDLE, 2))

    assert lobby.make_room() is True
    assert [guest.dismissals for guest in crowd] == [[], []]


@pytest.mark.parametrize(
    ("guests", "leaves"),
    [
        ([(Phase.IDLE, 1), (Phase.HEAD, 9), (Phase.ANSWERING, 0)], 1),
        ([(Phase.IDLE, 3), (Phase.IDLE, 2), (Phase.IDLE, 4)], 1),
        ([(Phase.HEAD, 3), (Phase.HEAD, 2), (Phase.CLOSING, 4)], 2),
        ([(Phase.LINGERING, 9), (Phase.IDLE, 1), (Phase.ANSWERING, 1)], 0),
    ],
    ids=["half-open-before-idle", "longest-idle", "closing-first", "lingering-before-idle"],
)
def test_the_least_useful_leaves(guests: list[tuple[Phase, float]], leaves: int) -> None:
    lobby, crowd = a_lobby(*guests)

    assert lobby.make_room() is True
    assert [number for number, guest in enumerate(crowd) if guest.dismissals] == [leaves]


def test_nobody_who_is_being_answered_leaves() -> None:
    lobby, crowd = a_lobby((Phase.ANSWERING, 1), (Phase.ANSWERING, 2), (Phase.ANSWERING, 3))

    assert lobby.make_room() is False
    assert not any(guest.dismissals for guest in crowd)


def test_a_handshake_leaves_like_a_half_open_request() -> None:
    async def arrive() -> Any:
        lobby, crowd = a_lobby((Phase.IDLE, 0), (Phase.ANSWERING, 0))
        arrival = Arrival(lobby)
        arrival.lead_in(asyncio.sleep(10))
        made_room = lobby.make_room()
        await lobby_tasks_ended(lobby)
        return made_room, [guest.dismissals for guest in crowd], arrival in lobby.arrivals

    assert asyncio.run(arrive()) == (True, [[], []], False)


async def lobby_tasks_ended(lobby: Lobby) -> None:
    while lobby.tasks:
        await asyncio.wait(lobby.tasks)


def test_unread_answers_within_the_bound_stay() -> None:
    lobby, (first, second, third) = a_lobby((Phase.IDLE, 1), (Phase.IDLE, 2), (Phase.IDLE, 3))
    for guest in (first, second, third):
        lobby.owe(guest, 30)

    assert list(lobby.unread.values()) == [30, 30, 30]


def test_beyond_the_bound_the_oldest_reader_leaves_and_never_the_newest() -> None:
    """Unless the oldest turns out to have taken everything."""
    lobby, crowd = a_lobby(*((Phase.IDLE, number) for number in range(7)), connections=9)
    crowd[0].has_taken_all = True
    for guest in crowd:
        lobby.owe(guest, 20)

    assert [bool(guest.dismissals) for guest in crowd] == [False, True, False, False, False, False, False]
    assert sum(lobby.unread.values()) == 100


def test_four_of_the_largest_answer_always_fit() -> None:
    """Big accounts keep several scrapers."""
    lobby, crowd = a_lobby(*((Phase.IDLE, number) for number in range(5)), connections=9)
    for guest in crowd:
        lobby.owe(guest, 1000)

    assert [bool(guest.dismissals) for guest in crowd] == [True, False, False, False, False]
