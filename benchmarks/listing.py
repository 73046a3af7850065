"""Measure the listing of N pages: the exporter's own client, aiohttp where it is there, and a bare lower bound.

Each contender is a process of its own (`listing.py WHO URL PAGES CONCURRENCY PER_MINUTE` prints
seconds and CPU seconds as JSON), so that none inherits another's memory or loop.
"""

import asyncio
import importlib.util
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contenders import start_gateway
from keyset import PAGE_SIZE
from machine import Failed

from exporter.cometapi.answer import Answer
from exporter.cometapi.client import CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.cometapi.wire import parse_page
from exporter.credentials import Secret

ANSWER_SECONDS = 0.05
CONCURRENCY = 4
WARMED_UP_PAGES = 100
OURS, AIOHTTP, BARE = "this exporter", "aiohttp", "bare asyncio streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How long one contender took for *pages* pages, in seconds; *cpu_seconds* are its own."""

    who: str
    pages: int
    seconds: float
    cpu_seconds: float

    @property
    def ideal_seconds(self) -> float:
        """Page 1 must come first, the others some at a time."""
        return (1 + math.ceil((self.pages - 1) / CONCURRENCY)) * ANSWER_SECONDS


def measure(folder: Path, pages: int, *, repeats: int) -> list[Listing]:
    """Let the contenders list *pages* pages in turn, *repeats* times; return the medians."""
    contenders = [BARE, *([AIOHTTP] if importlib.util.find_spec("aiohttp") else []), OURS]
    if AIOHTTP not in contenders:
        print(
            "SKIPPED: aiohttp is not installed in this environment; the bare lower bound stands in for it"
        )
    runs: dict[str, list[Listing]] = {who: [] for who in contenders}
    with ExitStack() as stack:
        count = pages * PAGE_SIZE - PAGE_SIZE // 2
        url = start_gateway(stack, folder, count, int(time.time()), delay=ANSWER_SECONDS)
        for _ in range(repeats):
            for who in contenders:
                runs[who].append(run(who, url, pages))
    return [median(listings) for listings in runs.values()]


def median(listings: list[Listing]) -> Listing:
    first = listings[0]
    return Listing(
        who=first.who,
        pages=first.pages,
        seconds=statistics.median(listing.seconds for listing in listings),
        cpu_seconds=statistics.median(listing.cpu_seconds for listing in listings),
    )


def run(
    who: str, url: str, pages: int, *, per_minute: int = 10_000_000, seconds: float = 150
) -> Listing:
    arguments = [sys.executable, __file__, who, url, str(pages), str(CONCURRENCY), str(per_minute)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise Failed(f"{who} could not list: {done.stderr[-2000:]}")
    figures = json.loads(done.stdout)
    return Listing(
        who=who, pages=pages, seconds=figures["seconds"], cpu_seconds=figures["cpu_seconds"]
    )


# The contenders, each in its process.


async def list_with_ours(
    url: str, pages: int, concurrency: int, per_minute: int
) -> tuple[float, float]:
    rate_limit = RateLimit(per_minute, clock=time.monotonic, sleep=asyncio.sleep)
    async with aclosing(
        CometClient(
            base_url=url,
            user_id=None,
            ca_file=None,
            proxy=None,
            auth_scheme="raw",
            headers_file=None,
            timeout=10,
            concurrency=concurrency,
            rate_limit=rate_limit,
            on_request=lambda _path, _code: None,
        )
    ) as client:

        async def work() -> int:
            return len((await client.list_keys(Secret("benchmark"))).keys)

        return await timed(work, pages)


async def list_with_aiohttp(url: str, pages: int, concurrency: int, _: int) -> tuple[float, float]:
    import aiohttp  # noqa: PLC0415 - it may be missing

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def page(number: int) -> int:
            async with session.get(
                "/api/token/", params={"p": number, "page_size": PAGE_SIZE}
            ) as response:
                return keys_in(await response.read())

        return await timed(lambda: all_pages(page, pages, concurrency), pages)


async def list_bare(url: str, pages: int, concurrency: int, _: int) -> tuple[float, float]:
    address = urlsplit(url)
    free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()

    async def page(number: int) -> int:
        streams = (
            free.get_nowait()
            if not free.empty()
            else await asyncio.open_connection("127.0.0.1", address.port)
        )
        reader, writer = streams
        writer.write(
            f"GET /api/token/?p={number}&page_size={PAGE_SIZE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.rpartition(b"Content-Length: ")[2]))
        free.put_nowait(streams)
        return keys_in(body)

    return await timed(lambda: all_pages(page, pages, concurrency), pages)


def keys_in(body: bytes) -> int:
    """Decode as the exporter does, so that the difference is the client's alone."""
    return len(parse_page(Answer(status=200, headers={}, body=body, received_at=0)).keys)


async def all_pages(page: Callable[[int], Awaitable[int]], pages: int, concurrency: int) -> int:
    numbers = iter(range(2, pages + 1))
    counts = [await page(1)]

    async def worker() -> None:
        for number in numbers:
            counts.append(await page(number))  # noqa: PERF401 - a comprehension would lose the sharing

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return sum(counts)


async def timed(work: Callable[[], Awaitable[int]], pages: int) -> tuple[float, float]:
    """Time the work, short work the second time: a refresh finds what it needs loaded, and its connections open."""
    if pages <= WARMED_UP_PAGES:
        await work()
    cpu, began = time.process_time(), time.monotonic()
    count = await work()
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    if count != pages * PAGE_SIZE - PAGE_SIZE // 2:
        raise Failed(f"{count} keys came")
    return seconds, cpu_seconds


CONTENDERS = {OURS: list_with_ours, AIOHTTP: list_with_aiohttp, BARE: list_bare}


def main(who: str, url: str, pages: int, concurrency: int, per_minute: int) -> None:
    seconds, cpu_seconds = asyncio.run(CONTENDERS[who](url, pages, concurrency, per_minute))
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
