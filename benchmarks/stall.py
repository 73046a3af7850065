"""Measure how long other requests wait while refreshes of many keys end, and the memory that this takes.

Talks to: the exporter with a short interval, and an idle control server, whose waits are the machine's own.
"""

import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from contenders import start_gateway, start_nginx, start_ours
from visitor import WISHES, Visitor

PAUSE_SECONDS = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The waits for `/-/healthy` and, meanwhile, for scrapes, in seconds; *control* are the waits for a static file."""

    keys: int
    refreshes: int
    seconds: float
    waits: list[float]
    control: list[float]
    scrapes: list[float]
    peak_bytes: int
    cpu_per_refresh: float

    def part(self, fraction: float, waits: list[float] | None = None) -> float:
        times = sorted(self.waits if waits is None else waits)
        return times[min(len(times) - 1, int(len(times) * fraction))]


def measure(folder: Path, count: int, *, refreshes: int, most_seconds: float) -> Stall:
    """Ask for `/-/healthy` all the time until *refreshes* refreshes have ended, or *most_seconds* are over."""
    now = int(time.time())
    with ExitStack() as stack:
        url = start_gateway(stack, folder, count, now)
        ours = start_ours(stack, folder, url, interval="2s")
        control = start_nginx(stack, folder, None)
        first, cpu, began = refreshes_of(ours.port), ours.program.cpu_seconds(), time.monotonic()
        is_over = threading.Event()
        waits: list[float] = []
        threads = [asking(ours.port, "/-/healthy", waits, is_over)]
        control_waits: list[float] = []
        if control is not None:
            threads.append(asking(control.port, "/word", control_waits, is_over))
        scrapes: list[float] = []
        with Visitor(ours.port) as visitor:
            while time.monotonic() < began + most_seconds and refreshes_of(ours.port) < first + refreshes:
                scrapes.append(visitor.scrape("/metrics", WISHES[0]).seconds)
                is_over.wait(0.5)
        is_over.set()
        for thread in threads:
            thread.join(30)
        ended = refreshes_of(ours.port) - first
        return Stall(
            keys=count,
            refreshes=ended,
            seconds=time.monotonic() - began,
            waits=waits,
            control=control_waits,
            scrapes=scrapes,
            peak_bytes=ours.program.peak_bytes(),
            cpu_per_refresh=(ours.program.cpu_seconds() - cpu) / max(ended, 1),
        )


def asking(port: int, path: str, waits: list[float], is_over: threading.Event) -> threading.Thread:
    """Begin to ask for *path* every few milliseconds until *is_over*, in a thread."""

    def ask() -> None:
        with Visitor(port) as visitor:
            while not is_over.wait(PAUSE_SECONDS):
                waits.append(visitor.get(path).seconds)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def refreshes_of(port: int) -> int:
    """Return how many refreshes have succeeded so far."""
    path = "/metrics?name[]=cometapi_exporter_refreshes_total"
    with Visitor(port) as visitor:
        lines = visitor.get(path).body.decode().split("\n")
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if "refreshes_total{" in line)


def median(times: list[float]) -> float:
    return statistics.median(times) if times else float("nan")
