"""Run the installed exporter for a long time against a gateway that fails at random, and look for leaks.

    python benchmarks/soak.py --minutes 30

Interval 1 s, a scrape a second, keys that come and go, a fault on every fifth request, a fixed
seed. Memory, file descriptors and threads are sampled from /proc; a second part runs refreshes in
this process and counts asyncio's tasks. Ends with exit code 1 where anything grew. Loopback only,
bounded in time, ends what it started.
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import stamina
import structlog
from builders import CANARY_TOKEN, a_wire_key
from gateway import (
    Gateway,
    answer,
    close_before_answer,
    drip,
    endless,
    gzip_bomb,
    hang,
    reset,
    truncated,
)
from processes import Exporter

from exporter.app import monitoring
from exporter.settings.load import load_settings

SEED = 20261123
FAULTS = (
    answer(401),
    answer(401, b'{"success": false, "code": "AUTH_UNAUTHORIZED", "message": ""}'),
    answer(429),
    answer(429, headers={"Retry-After": "1"}),
    answer(500),
    answer(503),
    answer(302, headers={"Location": "https://elsewhere.example/"}),
    answer(200, b"<html>"),
    answer(200, b'{"success": false}'),
    truncated(),
    reset(),
    close_before_answer(),
    hang(3),
    drip(0.2),
    gzip_bomb(20_000_000),
    endless(9_000_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the process holds at one moment."""

    seconds: float
    rss_mb: float
    descriptors: int
    threads: int


def sample(pid: int, started: float) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Sample(
        seconds=time.monotonic() - started,
        rss_mb=int(values["VmRSS"].split()[0]) / 1024,
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(values["Threads"]),
    )


class Trouble:
    """Faults and moving keys, by a seeded generator."""

    def __init__(self, gateway: Gateway) -> None:
        self._dice = random.Random(SEED)
        self._gateway = gateway
        self._born = 250
        gateway.keys = [a_wire_key(n) for n in range(1, 251)]

    def fault(self, _request: object) -> object:
        return self._dice.choice(FAULTS) if self._dice.random() < 0.2 else None

    def move(self, _request: object) -> None:
        if self._dice.random() < 0.1:
            self._born += 1
            keys = list(self._gateway.keys)
            keys.pop(self._dice.randrange(len(keys)))
            self._gateway.keys = [*keys, a_wire_key(self._born)]


def from_outside(minutes: float) -> bool:
    """Watch the real process; return whether it stayed level."""
    with (
        Gateway() as gateway,
        Exporter(
            "--collect.interval=1s",
            "--collect.timeout=1s",
            "--collect.max-requests-per-minute=100000",
            COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
            COMETAPI_BASE_URL=gateway.url,
        ) as exporter,
    ):
        trouble = Trouble(gateway)
        gateway.faults, gateway.before_page = trouble.fault, trouble.move
        samples = watch_process(exporter, gateway, minutes)
        outcomes = {
            name.partition("{")[2]: int(value)
            for name, value in exporter.samples().items()
            if name.startswith("cometapi_exporter_refresh")
            and name.endswith("}")
            and "_total{" in name
            and value
        }
    return verdict(samples, outcomes, len(gateway.requests))


def watch_process(exporter: Exporter, gateway: Gateway, minutes: float) -> list[Sample]:
    started, samples = time.monotonic(), []
    while time.monotonic() - started < minutes * 60:
        exporter.get()
        if not samples or time.monotonic() - started - samples[-1].seconds > minutes:
            samples.append(sample(exporter.process.pid, started))
            print(samples[-1], len(gateway.requests), "requests", flush=True)
        time.sleep(1)
    return samples


def verdict(samples: list[Sample], outcomes: dict[str, int], requests: int) -> bool:
    settled = samples[len(samples) // 5 :]
    first, last = settled[: len(settled) // 4 or 1], settled[-(len(settled) // 4 or 1) :]

    def rise(field: str) -> float:
        return max(getattr(each, field) for each in last) - max(
            getattr(each, field) for each in first
        )

    grown = {
        "rss_mb": rise("rss_mb"),
        "descriptors": rise("descriptors"),
        "threads": rise("threads"),
    }
    print(f"refreshes by outcome: {outcomes}; {requests} requests")
    print(
        f"at the end: {samples[-1].rss_mb:.1f} MB, at most {max(s.rss_mb for s in samples):.1f} MB"
    )
    print(f"growth between the second and the last fifth: {grown}")
    return grown["rss_mb"] < 5 and grown["descriptors"] <= 3 and grown["threads"] <= 1


async def from_inside(refreshes: int) -> bool:
    """Run refreshes in this process; return whether no task was left behind."""
    # Faults are the point: their log lines would hide the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with stamina.set_testing(True, attempts=3), Gateway() as gateway:
        trouble = Trouble(gateway)
        gateway.faults, gateway.before_page = trouble.fault, trouble.move
        given = {"base_url": gateway.url, "max_requests_per_minute": "1000000", "timeout": "200ms"}
        settings = load_settings(given, {"COMETAPI_ACCESS_TOKEN": CANARY_TOKEN})
        async with monitoring(settings) as watch:
            for _ in range(refreshes):
                await watch.refresh_once()
            left = len(asyncio.all_tasks()) - 1
    print(f"{refreshes} refreshes in one process: {left} tasks left behind")
    return left == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--refreshes", type=int, default=300)
    arguments = parser.parse_args()
    level = from_outside(min(arguments.minutes, 120))
    tidy = asyncio.run(from_inside(min(arguments.refreshes, 5000)))
    print("level" if level and tidy else "something grew")
    return 0 if level and tidy else 1


if __name__ == "__main__":
    sys.exit(main())
