"""Be a gateway whose answers are ready before they are asked for; a process of its own.

`gateway.py KEYS UNIX_TIME DELAY_SECONDS` prints the port and serves on loopback until its standard input ends, or for
half an hour at most. Each answer comes DELAY_SECONDS after its request.
"""

import asyncio
import re
import sys

from keyset import ACCOUNT, pages

LIFE_SECONDS = 1800
PAGE = re.compile(rb"GET /api/token/\?(?:[^ ]*&)?p=(\d+)")


def answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Conversation(asyncio.Protocol):
    def __init__(self, listing: list[bytes], delay: float) -> None:
        self.listing = listing
        self.delay = delay
        self.account = answer(ACCOUNT)
        self.asked = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.asked += data
        while b"\r\n\r\n" in self.asked:
            request, _, self.asked = self.asked.partition(b"\r\n\r\n")
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self._answer, request)
            else:
                self._answer(request)

    def _answer(self, request: bytes) -> None:
        page = PAGE.match(request)
        if self.transport is not None and not self.transport.is_closing():
            number = min(int(page[1]), len(self.listing)) if page else 0
            self.transport.write(self.listing[number - 1] if page else self.account)


async def serve(count: int, now: int, delay: float) -> None:
    listing = [answer(page) for page in pages(count, now)]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(listing, delay), "127.0.0.1", 0, backlog=64)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with asyncio.timeout(LIFE_SECONDS):
        await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
