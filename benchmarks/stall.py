"""Measure how long other requests wait while refreshes of many keys end, and the memory that this takes.

Talks to: the exporter with a short interval, and an idle control server, whose waits are the
machine's own.
"""

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from client import REQUESTS, Client
from contenders import start_gateway, start_nginx, start_ours

PAUSE_SECONDS = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The waits for `/-/healthy` and, meanwhile, for scrapes, in seconds; *control* are the waits for a static file."""

    keys: int
    expiries: float
    refreshes: int
    seconds: float
    waits: list[float]
    control: list[float]
    scrapes: list[float]
    peak_bytes: int
    cpu_seconds: float

    def part(self, fraction: float, waits: list[float] | None = None) -> float:
        times = sorted(self.waits if waits is None else waits)
        return times[min(len(times) - 1, int(len(times) * fraction))]


def measure(
    folder: Path, count: int, *, refreshes: int, most_seconds: float, expiries: float = 0.0
) -> Stall:
    """Ask for `/-/healthy` all the time until *refreshes* refreshes have ended, or *most_seconds* are over.

    With *expiries* no refresh ends, and so many keys expire each second.
    """
    with ExitStack() as stack:
        url = start_gateway(stack, folder, count, int(time.time()), share=0.1, expiries=expiries)
        ours = start_ours(stack, folder, url, interval="30m" if expiries else "2s")
        control = start_nginx(stack, folder, None)
        first, cpu, began = refreshes_of(ours.port), ours.program.cpu_seconds(), time.monotonic()
        is_over = threading.Event()
        waits: list[float] = []
        control_waits: list[float] = []
        threads = [asking(ours.port, "/-/healthy", waits, is_over)]
        if control is not None:
            threads.append(asking(control.port, "/word", control_waits, is_over))
        scrapes = scrape_until(
            ours.port,
            is_over,
            lambda: (
                time.monotonic() > began + most_seconds
                or ended_since(ours.port, first) >= refreshes
            ),
        )
        for thread in threads:
            thread.join(30)
        ended = ended_since(ours.port, first)
        return Stall(
            keys=count,
            expiries=expiries,
            refreshes=ended,
            seconds=time.monotonic() - began,
            waits=waits,
            control=control_waits,
            scrapes=scrapes,
            peak_bytes=ours.program.peak_bytes(),
            cpu_seconds=ours.program.cpu_seconds() - cpu,
        )


def scrape_until(port: int, is_over: threading.Event, has_ended: Callable[[], bool]) -> list[float]:
    """Scrape twice a second; return the seconds that each scrape took."""
    scrapes: list[float] = []
    with Client(port) as client:
        while not has_ended():
            scrapes.append(client.scrape("/metrics", REQUESTS[0]).seconds)
            is_over.wait(0.5)
    is_over.set()
    return scrapes


def ended_since(port: int, first: int) -> int:
    return refreshes_of(port) - first


def asking(port: int, path: str, waits: list[float], is_over: threading.Event) -> threading.Thread:
    """Begin to ask for *path* every few milliseconds until *is_over*, in a thread."""

    def ask() -> None:
        with Client(port) as client:
            while not is_over.wait(PAUSE_SECONDS):
                waits.append(client.get(path).seconds)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def refreshes_of(port: int) -> int:
    """Return how many refreshes have succeeded so far."""
    path = "/metrics?name[]=cometapi_exporter_refreshes_total"
    with Client(port) as client:
        lines = client.get(path).body.decode().split("\n")
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if "refreshes_total{" in line)


def median(times: list[float]) -> float:
    return statistics.median(times) if times else float("nan")
