"""Measure what refreshes cost in CPU: accounts x keys at equal totals.

Talks to: the simulated gateway; `fleet.py URL ACCOUNTS TIMES` is the process in which the refreshes
run.
"""

import asyncio
import logging
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import listing
import structlog
from contenders import start_gateway
from keyset import PAGE_SIZE
from machine import Failed

from exporter.app import monitoring
from exporter.settings.load import load_settings

TENTH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The CPU seconds of one refresh of all *accounts*, *keys* each, of which a *share* was used in between."""

    accounts: int
    keys: int
    share: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleets:
    """The measurements, and the CPU seconds that listing *listed_keys* takes by itself."""

    fleets: list[Fleet]
    listed_keys: int
    listing_cpu_seconds: float

    def cpu(self, accounts: int, keys: int, share: float = TENTH) -> float | None:
        found = (
            it.cpu_seconds
            for it in self.fleets
            if (it.accounts, it.keys, it.share) == (accounts, keys, share)
        )
        return next(found, None)

    def against_one(self, accounts: int, keys: int) -> float | None:
        """How many times the CPU of one account with as many keys."""
        many, one = self.cpu(accounts, keys), self.cpu(1, accounts * keys)
        return many / one if many and one else None


def measure(folder: Path, totals: dict[int, list[int]], *, times: int) -> Fleets:
    """Measure each total of keys with each number of accounts."""
    listed = min(totals)
    cases = [
        (accounts, total // accounts, TENTH)
        for total, numbers in totals.items()
        for accounts in numbers
    ]
    fleets = [refreshes(folder, accounts, keys, share, times) for accounts, keys, share in cases]
    with ExitStack() as stack:
        url = start_gateway(stack, folder, listed - PAGE_SIZE // 2, int(time.time()))
        listed_alone = min(
            listing.run(listing.OURS, url, listed // PAGE_SIZE).cpu_seconds for _ in range(times)
        )
    return Fleets(fleets=fleets, listed_keys=listed, listing_cpu_seconds=listed_alone)


def refreshes(folder: Path, accounts: int, keys: int, share: float, times: int) -> Fleet:
    """Refresh all accounts some times in a process of its own, which prints the CPU seconds of each time."""
    with ExitStack() as stack:
        url = start_gateway(stack, folder, keys, int(time.time()), share=share)
        arguments = [sys.executable, __file__, url, str(accounts), str(times)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise Failed(f"no refreshes: {done.stderr[-2000:]}")
    return Fleet(accounts=accounts, keys=keys, share=share, cpu_seconds=float(done.stdout))


async def refresh_all(folder: Path, url: str, accounts: int, times: int) -> float:
    """Return the least CPU seconds that a refresh of all accounts took; the first one does not count."""
    file = folder / "accounts.yml"
    rows = (
        f"  - {{name: a{n}, base_url: {url}, access_token_env: TOKEN_{n}}}\n"
        for n in range(accounts)
    )
    file.write_text("accounts:\n" + "".join(rows), encoding="utf-8")
    tokens = {f"TOKEN_{n}": f"benchmark{n}" for n in range(accounts)}
    settings = load_settings(
        {"config_file": str(file), "max_requests_per_minute": "1000000"}, tokens
    )
    used = []
    async with monitoring(settings) as watch:
        for _ in range(times + 1):
            began = time.process_time()
            await asyncio.gather(
                *(refresher.read_once() for refresher in watch.refreshers.values())
            )
            used.append(time.process_time() - began)
            if any(state.failing for state in watch.snapshot.accounts.values()):
                raise Failed("a refresh failed")
    return min(used[1:])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as own_folder:
        print(
            asyncio.run(
                refresh_all(Path(own_folder), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
            )
        )
