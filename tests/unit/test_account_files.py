"""The files of all accounts share a few threads, however many accounts and mounts hang."""

import asyncio
import contextlib
import threading
from typing import ClassVar

import pytest
from builders import CANARY_TOKEN
from domain import an_account

from exporter.cometapi.connections import Connections
from exporter.credentials import Secret
from exporter.errors import ApiError, Reason
from exporter.refresh.token import TokenReader
from exporter.workers import Threads

ACCOUNTS = 20


class HangingFile:
    """A file that cannot be read until *end*; it remembers which threads wait for it."""

    origin = "the file"

    def __init__(self):
        self.end = threading.Event()
        self.threads = set()

    def read(self):
        self.threads.add(threading.current_thread())
        self.end.wait(10)
        return self.content


class HangingToken(HangingFile):
    content = Secret(CANARY_TOKEN)


class HangingHeaders(HangingFile):
    content: ClassVar = {}


async def read_token(file, number):
    await TokenReader(an_account(name=f"a{number}", token=file)).read()


async def read_headers(file, number):
    connections = Connections(
        # No port that anybody listens on.
        f"http://127.0.0.1:1/{number}",
        user_id=None,
        ca_file=None,
        timeout=5,
        at_once=1,
        headers_file=file,
    )
    async with contextlib.aclosing(connections):
        await connections.fetch("/", {}, Secret(CANARY_TOKEN))


@pytest.mark.parametrize(
    ("kind", "read"), [(HangingToken, read_token), (HangingHeaders, read_headers)]
)
def test_twenty_files_that_hang_take_eight_threads(kind, read):
    async def play():
        file = kind()
        reading = [asyncio.create_task(read(file, number)) for number in range(ACCOUNTS)]
        # Each task starts its thread, or waits for one, before its first pause.
        for _ in range(5):
            await asyncio.sleep(0)
        file.end.set()
        await asyncio.gather(*reading, return_exceptions=True)
        return len(file.threads)

    assert 1 <= asyncio.run(play()) <= 8


@pytest.mark.parametrize(
    ("module", "kind", "read"),
    [
        ("exporter.refresh.token", HangingToken, read_token),
        ("exporter.cometapi.connections", HangingHeaders, read_headers),
    ],
)
def test_without_a_thread_a_file_is_an_internal_failure(monkeypatch, module, kind, read):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(f"{module}.ACCOUNT_FILES", Threads(8, "test"))
    monkeypatch.setattr("threading.Thread.start", start)
    with pytest.raises(ApiError, match="cannot start a thread") as caught:
        asyncio.run(read(kind(), 1))

    assert caught.value.reason is Reason.INTERNAL
