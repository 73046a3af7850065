"""Measure a quiet minute, and a listing that the rate limit binds, at the same time: both mostly wait.

Talks to: the exporter at its usual interval, and the listing process with its rate limit.
"""

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import listing
from contenders import start_gateway, start_ours
from keyset import PAGE_SIZE
from machine import Failed
from stall import refreshes_of

PACED_PAGES, PER_MINUTE = 130, 120
MINUTE_SECONDS = 66.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """*idle_cpu_seconds* for one refresh and the waiting around it; the paced listing's time, and the limit's."""

    keys: int
    idle_cpu_seconds: float
    paced_seconds: float
    paced_ideal_seconds: float


def measure(folder: Path, count: int) -> Upkeep:
    now = int(time.time())
    with ExitStack() as stack:
        paced_count = PACED_PAGES * PAGE_SIZE - PAGE_SIZE // 2
        paced_url = start_gateway(stack, folder, paced_count, now, delay=listing.ANSWER_SECONDS)
        ours = start_ours(stack, folder, start_gateway(stack, folder, count, now))
        time.sleep(2)
        paced: list[listing.Listing] = []
        thread = threading.Thread(
            target=lambda: paced.append(
                listing.run(listing.OURS, paced_url, PACED_PAGES, per_minute=PER_MINUTE)
            )
        )
        thread.start()
        cpu, refreshes = ours.program.cpu_seconds(), refreshes_of(ours.port)
        time.sleep(
            MINUTE_SECONDS
        )  # refreshes begin a minute apart, give or take 3 s: one falls into this time
        used, ended = ours.program.cpu_seconds() - cpu, refreshes_of(ours.port) - refreshes
        thread.join(120)
        if ended != 1 or not paced:
            raise Failed(f"{ended} refreshes in the quiet minute, {len(paced)} paced listings")
    return Upkeep(
        keys=count,
        idle_cpu_seconds=used,
        paced_seconds=paced[0].seconds,
        paced_ideal_seconds=60
        + listing.ANSWER_SECONDS * -(-(PACED_PAGES - PER_MINUTE) // listing.CONCURRENCY),
    )
