"""Be a gateway whose answers are ready before they are requested; a process of its own.

`gateway.py KEYS UNIX_TIME DELAY_SECONDS [SHARE [EXPIRIES]]` prints the port and serves on loopback
until its standard input ends, or for half an hour at most. Each answer comes DELAY_SECONDS after
its request. Each token is an account with the same keys, of which SHARE were used between two
listings and EXPIRIES expire each second.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence

from keyset import ACCOUNT, STATUS, Change, pages

LIFE_SECONDS = 1800
# The exporter may send `page`, `size` and `page_size` beside `p`; they mean nothing here.
PAGE = re.compile(rb"GET /api/token/\?(?:[^ ]*&)?p=(\d+)")
TOKEN = re.compile(rb"\r\nauthorization: ([^\r]+)", re.IGNORECASE)
TARGET = re.compile(rb"(\w+) ([^ ?]*)")


def answer(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def invalid_url(request: bytes) -> bytes:
    """Tell that the gateway does not have the path, as the real ones do."""
    target = TARGET.match(request)
    asked = b" ".join(target.groups()).decode("latin-1") if target else ""
    error = {
        "message": f"Invalid URL ({asked})",
        "type": "invalid_request_error",
        "param": "",
        "code": "",
    }
    return answer(json.dumps({"error": error}).encode(), "404 Not Found")


class Listings:
    """The versions of the list; each account is shown the next with its next listing."""

    def __init__(self, versions: Sequence[list[bytes]]) -> None:
        self._versions = versions
        self._begun: Counter[bytes] = Counter()

    def page(self, token: bytes, number: int) -> bytes:
        self._begun[token] += number == 1
        version = self._versions[self._begun[token] % len(self._versions)]
        return version[min(number, len(version)) - 1]


class Conversation(asyncio.Protocol):
    def __init__(self, listings: Listings, delay: float) -> None:
        self.listings = listings
        self.delay = delay
        self.account = answer(ACCOUNT)
        self.status = answer(STATUS)
        self.received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            request, _, self.received = self.received.partition(b"\r\n\r\n")
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self._answer, request)
            else:
                self._answer(request)

    def _answer(self, request: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        page = PAGE.match(request)
        if page:
            token = TOKEN.search(request)
            content = self.listings.page(token[1] if token else b"", int(page[1]))
        elif request.startswith(b"GET /api/user/self "):
            content = self.account
        elif request.startswith(b"GET /api/status "):
            content = self.status
        else:
            content = invalid_url(request)
        self.transport.write(content)


async def serve(
    count: int, now: int, delay: float, share: float = 0.0, expiries: float = 0.0
) -> None:
    changes = [
        Change(share=share, version=version, expiries=expiries)
        for version in ((0, 1) if share else (0,))
    ]
    listings = Listings(
        [[answer(page) for page in pages(count, now, change)] for change in changes]
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Conversation(listings, delay), "127.0.0.1", 0, backlog=64
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    async with asyncio.timeout(LIFE_SECONDS):
        await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
