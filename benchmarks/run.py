"""Measure this exporter beside others, in one run; print tables and keep them in .bench/.

`--write` puts them into benchmarks/README.md as well, for maintainers.

Needs the development environment. Go, nginx, Prometheus and aiohttp are used where they are found,
and missed loudly. Everything listens on loopback, ends by its own process id, and is bounded: about
fourteen minutes, `--quick` four.
"""

import argparse
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import crowd
import fleet
import listing
import scrapes
import stall
import tables
import takein
import upkeep
from contenders import build_go
from goals import Measured, goals

DOCUMENT = Path(__file__).resolve().parent / "README.md"
RESULTS = Path(__file__).resolve().parent.parent / ".bench"
FULL = {
    1000: scrapes.Effort(seconds=6, passes=25, load_seconds=3),
    10_000: scrapes.Effort(seconds=8, passes=30, load_seconds=4),
    100_000: scrapes.Effort(seconds=8, passes=12, load_seconds=4),
}
QUICK = {1000: scrapes.Effort(seconds=2, passes=10, load_seconds=1)}

SCRAPES_NOTE = (
    "OpenMetrics and gzip in the first table of each size, as Prometheus asks. Times are of scrapes a second apart, "
    "CPU and throughput are under a load of four connections (one at 100,000 keys)."
)

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="1,000 keys, 20,000 for expiries, 10,000 for slow readers, no quiet minute",
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCUMENT.name}")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cometapi-bench-") as folder:
        text = report(measure(Path(folder), quick=arguments.quick))
    text += f"\n\nThe run took {time.monotonic() - began:.0f} s."
    print(f"\n{text}")
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / time.strftime("%Y-%m-%dT%H%M%SZ.md", time.gmtime())
    kept.write_text(f"{text}\n", encoding="utf-8")
    print(f"\nwritten: {kept}")
    if arguments.write:
        write(text)


def measure(folder: Path, *, quick: bool) -> Measured:
    """Measure everything, one step after the other."""
    go = step("building the Go server", lambda: build_go(folder))
    sizes = {
        count: step(f"scraping {count:,} keys", partial(scrapes.measure, folder, count, effort, go))
        for count, effort in (QUICK if quick else FULL).items()
    }
    counts = [1000] if quick else [1000, 10_000]
    durations = step(
        "letting Prometheus scrape",
        lambda: takein.measure(folder, counts, seconds=15 if quick else 40),
    )
    stalls = [
        step(
            f"watching {count:,} keys",
            partial(stall.measure, folder, count, refreshes=4, most_seconds=60, expiries=each),
        )
        for count, each in (
            ((20_000, 50.0),) if quick else ((100_000, 0.0), (100_000, 1.0), (20_000, 50.0))
        )
    ]
    totals = {10_000: [1, 50]} if quick else {10_000: [1, 10, 50], 50_000: [1, 50]}
    fleets = step("refreshing fleets", lambda: fleet.measure(folder, totals, times=3))
    slow = step(
        "reading slowly", lambda: crowd.measure(folder, 10_000 if quick else 100_000, seconds=8)
    )
    listed = step("listing pages", lambda: listing.measure(folder, 10, repeats=5))
    if not quick:
        listed += step("listing many pages", lambda: listing.measure(folder, 1000, repeats=1))
    return Measured(
        sizes=sizes,
        takein=durations,
        stalls=stalls,
        crowd=slow,
        listings=listed,
        upkeep=None if quick else step("a quiet minute", lambda: upkeep.measure(folder, 1000)),
        fleets=fleets,
    )


def report(measured: Measured) -> str:
    """Write what was measured as a part of the document."""
    parts = [
        f"Measured on {machine()}.",
        "## The goals",
        goals(measured),
        "## Scrapes side by side",
        SCRAPES_NOTE,
        tables.scrapes(measured.sizes),
        *(
            ["## Scrape duration as measured by Prometheus", tables.takein(measured.takein)]
            if measured.takein
            else []
        ),
        "## While refreshes end and keys expire",
        tables.stalls(measured.stalls),
        "## Refreshes of fleets",
        tables.fleets(measured.fleets),
        "## Slow readers",
        tables.crowds(measured.crowd),
        "## Listing, 50 ms per response, four at a time",
        tables.listings(measured.listings),
        *(
            ["## A quiet minute, and the rate limit", tables.upkeep(measured.upkeep)]
            if measured.upkeep
            else []
        ),
    ]
    return "\n\n".join(parts)


def step(what: str, work: Callable[[], T]) -> T:
    print(f"{what} …", flush=True)
    began = time.monotonic()
    result = work()
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return result


def machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}, load at the end {load:.1f}"
    )


def write(text: str) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    pattern = r"(<!-- begin figures -->\n).*?(<!-- end figures -->)"
    if not re.search(pattern, document, re.DOTALL):
        raise SystemExit(f"{DOCUMENT} has no place for the figures")
    document = re.sub(
        pattern, lambda match: f"{match[1]}{text}\n{match[2]}", document, flags=re.DOTALL
    )
    DOCUMENT.write_text(document, encoding="utf-8")
    print(f"written: {DOCUMENT}")


if __name__ == "__main__":
    main()
