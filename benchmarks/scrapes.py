"""Measure scrapes of all servers side by side: time, bytes, memory, then CPU and throughput under a bounded load.

Talks to: the servers, as one client that takes turns, so that noise meets all of them alike. Turns
are a second apart, so that the servers rest in between.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from client import REQUESTS, Client, Request
from contenders import (
    COLLECTOR,
    GAUGES,
    OURS,
    Server,
    series_of,
    start_gateway,
    start_go,
    start_nginx,
    start_ours,
    start_python,
)
from machine import Failed

LOAD_REQUEST = REQUESTS[0]
LOAD_CONNECTIONS = 4
REST_SECONDS = 0.005
"""For what a server still does after the last byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure at one size: seconds for each server in each half, passes at most, seconds of load."""

    seconds: float
    passes: int
    load_seconds: float


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one server showed at one size; times in seconds, by request. CPU and throughput are of the first request.

    *alone* has the CPU of each scrape by itself, of this exporter alone; *cpu_seconds* is that of
    one under load.
    """

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    alone: list[float] = field(default_factory=list)
    wire_bytes: dict[str, int] = field(default_factory=dict)
    peak_gzip: int = 0
    peak_all: int = 0
    cpu_seconds: float | None = None
    per_second: float | None = None

    @property
    def alone_seconds(self) -> float | None:
        return statistics.median(self.alone) if self.alone else None

    def median(self, request: Request = LOAD_REQUEST) -> float | None:
        times = self.times.get(request.name)
        return statistics.median(times) if times else None

    def worst_hundredth(self, request: Request = LOAD_REQUEST) -> float | None:
        times = sorted(self.times.get(request.name, ()))
        return times[min(len(times) - 1, int(len(times) * 0.99))] if times else None


def measure(folder: Path, count: int, effort: Effort, go: Path | None) -> dict[str, Figures]:
    """Start every server with *count* keys and measure; the name of the server leads to its figures."""
    now = int(time.time())
    with ExitStack() as stack:
        ours = start_ours(stack, folder, start_gateway(stack, folder, count, now), interval="30m")
        nginx = start_nginx(stack, folder, ours)
        others = [start_go(stack, folder, go, count, now)] if go else []
        others += [start_python(stack, folder, kind, count, now) for kind in (COLLECTOR, GAUGES)]
        servers = [server for server in (nginx, ours, *others) if server is not None]
        check_same_series(servers)
        figures = {server.name: Figures() for server in servers}
        spent: dict[str, float] = dict.fromkeys(figures, 0.0)
        for half, requests in enumerate((REQUESTS[:2], REQUESTS[2:]), start=1):
            go_round(servers, requests, effort, figures, spent, most_seconds=half * effort.seconds)
            for server in servers:
                peak = server.program.peak_bytes()
                figures[server.name].peak_gzip = figures[server.name].peak_gzip or peak
                figures[server.name].peak_all = peak
        for server in servers:
            load(
                server,
                effort,
                figures[server.name],
                connections=LOAD_CONNECTIONS if count <= 10_000 else 1,
            )
    return figures


def check_same_series(servers: Sequence[Server]) -> None:
    """Scrape everybody once, which also warms them up, and see that they expose the same keys.

    The few series of the account itself are not compared: our exporter adds some with each version,
    and they weigh nothing beside ten families of 1,000 keys.
    """
    first, *rest = servers
    expected = key_series_of(first)
    for server in rest:
        difference = key_series_of(server) ^ expected
        if difference:
            raise Failed(
                f"{server.name} serves other series than {first.name}: {sorted(difference)[:4]}"
            )


def key_series_of(server: Server) -> set[str]:
    """Return the series that have the ID of a key."""
    return {series for series in series_of(server, LOAD_REQUEST) if "'key_id'" in series}


def go_round(
    servers: Sequence[Server],
    requests: Sequence[Request],
    effort: Effort,
    figures: dict[str, Figures],
    spent: dict[str, float],
    *,
    most_seconds: float,
) -> None:
    """Scrape one after the other, again and again, until each has had its time or its number of passes."""
    with ExitStack() as stack:
        clients = {server.name: stack.enter_context(Client(server.port)) for server in servers}
        for _ in range(effort.passes):
            for request in requests:
                time.sleep(1.01 - time.time() % 1)
                for server in servers:
                    if spent[server.name] > most_seconds:
                        continue
                    cpu = server.program.running_seconds()
                    response = clients[server.name].scrape(server.path(request), request)
                    if server.name == OURS and request is LOAD_REQUEST:
                        time.sleep(REST_SECONDS)
                        figures[OURS].alone.append(server.program.running_seconds() - cpu)
                    spent[server.name] += response.seconds
                    figures[server.name].times[request.name].append(response.seconds)
                    figures[server.name].wire_bytes[request.name] = response.wire_bytes


def load(server: Server, effort: Effort, figures: Figures, *, connections: int) -> None:
    """Scrape over some connections at the same time for a while; count scrapes and the server's CPU time."""
    counts: list[int] = []
    cpu, began = server.program.cpu_seconds(), time.monotonic()
    end = began + effort.load_seconds

    def keep_scraping() -> None:
        count = 0
        with Client(server.port) as client:
            while count == 0 or time.monotonic() < end:
                client.scrape(server.path(LOAD_REQUEST), LOAD_REQUEST)
                count += 1
        counts.append(count)

    threads = [threading.Thread(target=keep_scraping) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures.per_second = sum(counts) / (time.monotonic() - began)
    figures.cpu_seconds = (server.program.cpu_seconds() - cpu) / sum(counts)
