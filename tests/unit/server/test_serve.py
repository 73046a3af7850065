"""Which connections make way for others."""

import asyncio
import contextlib
from dataclasses import dataclass

import pytest

from exporter.server.limits import Limits
from exporter.server.serve import _Server, most_dispensable, readers_beyond
from exporter.workers import NoThread

MIB = 1024 * 1024


@dataclass(frozen=True)
class AConnection:
    """What the choice looks at."""

    since: float = 0.0
    is_new: bool = False
    is_working: bool = False
    sending_since: float | None = None
    unread_bytes: int = 0


def test_the_connection_that_is_longest_idle_makes_way():
    old, older = AConnection(since=20.0), AConnection(since=10.0)

    assert most_dispensable([old, older]) is older


def test_a_new_connection_stays_while_another_one_is_idle():
    """Its request may be about to arrive, even if the idle one began its phase later."""
    new, idle = AConnection(since=10.0, is_new=True), AConnection(since=20.0)

    assert most_dispensable([new, idle]) is idle


def test_among_new_connections_the_oldest_makes_way():
    new, newer = AConnection(since=10.0, is_new=True), AConnection(since=10.5, is_new=True)

    assert most_dispensable([newer, new]) is new


def test_a_connection_with_a_running_request_does_not_make_way():
    working, idle = AConnection(since=10.0, is_working=True), AConnection(since=20.0)

    assert most_dispensable([working, idle]) is idle
    assert most_dispensable([working]) is None


def test_the_oldest_readers_go_until_the_rest_fits():
    readers = [
        AConnection(sending_since=float(number), unread_bytes=10 * MIB) for number in range(10)
    ]

    assert readers_beyond(readers, 64 * MIB) == readers[:4]


def test_the_newest_reader_stays_however_much_it_has_to_read():
    newest = AConnection(sending_since=2.0, unread_bytes=500 * MIB)
    older = AConnection(sending_since=1.0, unread_bytes=10 * MIB)

    assert readers_beyond([newest, older], 64 * MIB) == []


def test_four_of_the_largest_response_always_fit():
    readers = [
        AConnection(sending_since=float(number), unread_bytes=100 * MIB) for number in range(5)
    ]

    assert readers_beyond(readers, 64 * MIB) == readers[:1]


def test_where_no_client_reads_none_is_cut():
    assert readers_beyond([], 64 * MIB) == []


class FailingFile:
    """A web config that cannot be looked at; it counts how often that was tried."""

    context = None

    def __init__(self, error):
        self.error = error
        self.looks = 0

    def refresh(self):
        self.looks += 1
        raise self.error


@pytest.mark.parametrize("error", [TimeoutError(), NoThread()])
def test_a_look_at_the_web_config_that_fails_ends_nothing(error):
    """What raises there would end the server."""
    file = FailingFile(error)

    async def play():
        server = _Server(None, Limits(reload_seconds=0), file)
        following = asyncio.create_task(server._follow_web_config())
        async with asyncio.timeout(10):
            while file.looks < 3:
                await asyncio.sleep(0)
                assert not following.done()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following

    asyncio.run(play())
