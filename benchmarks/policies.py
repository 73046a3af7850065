"""Measure what policies and changes cost: `policies.py` prints two tables, of 100,000 keys.

The first is of whole runs of `--once`, with and without policies, in turns. The second is of the
parts of a refresh: finding changes, matching and judging keys. Takes about two minutes.

Talks to: the simulated gateway, and the installed exporter.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from contenders import EXPORTER, start_gateway
from machine import Failed
from tables import MIB, NO_FIGURE, ms, ratio, table

from exporter.app import monitoring
from exporter.endpoint import Moment
from exporter.exposition.rendering import render
from exporter.model import Listing
from exporter.policies import NO_POLICIES
from exporter.refresh.key_changes import with_changes
from exporter.settings.load import load_settings
from exporter.snapshot import AccountState, Reading

TENTH = 0.1
NONE, KEPT, BROKEN = "no policies", "ten that every key meets", "ten that most keys break"
POLICIES: dict[str, str] = {
    NONE: "",
    KEPT: """\
policies:
  - {max_unused: 1000d}
  - {name: ".+"}
  - {groups: ["", default, vip, batch, internal]}
  - {keys: "default/team-1.*", max_unused: 900d}
  - {keys: "default/team-2.*", max_unused: 800d}
  - {keys: "vip/.*service.*", name: "team-[0-9]+ .*"}
  - {keys: "vip/team-3.*", max_unused: 700d}
  - {keys: "batch/.*", name: ".{1,40}"}
  - {keys: "(batch|internal)/.*", groups: [batch, internal]}
  - {keys: "internal/.*[05]", max_unused: 600d}
""",
    BROKEN: """\
policies:
  - {limited_quota: true}
  - {model_limits: true}
  - {ip_allowlist: true}
  - {keys: "default/.*", max_lifetime: 30d}
  - {keys: "default/team-2.*", max_unused: 1d}
  - {keys: "vip/.*service.*", name: "[a-z]+"}
  - {keys: "vip/team-3.*", max_unused: 7d}
  - {keys: "batch/.*", groups: [default, vip]}
  - {keys: "(batch|internal)/.*", max_lifetime: 90d}
  - {keys: "internal/.*[05]", max_unused: 14d}
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What whole runs of `--once` cost: the least CPU, the highest peak of memory."""

    cpu_seconds: float
    peak_bytes: int
    violations: int


def write_file(folder: Path, url: str, policies: str) -> Path:
    file = folder / "accounts.yml"
    account = f"{{name: main, base_url: {url}, access_token_env: TOKEN}}"
    file.write_text(f"accounts:\n  - {account}\n{policies}", encoding="utf-8")
    return file


def run_once(folder: Path, url: str, policies: str) -> Once:
    """Run `--once`, and read from the kernel what the process cost."""
    file = write_file(folder, url, policies)
    output = folder / "once.txt"
    flags = [f"--config.file={file}", "--collect.max-requests-per-minute=1000000"]
    with output.open("wb") as written:
        process = subprocess.Popen(
            [EXPORTER, "--once", *flags],
            stdout=written,
            env={**os.environ, "TOKEN": "benchmark", "NO_PROXY": "127.0.0.1"},
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"--once ended with {process.returncode}")
    return Once(
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * 1024,
        violations=output.read_bytes().count(b"\ncometapi_key_policy_violation{"),
    )


def whole_runs(folder: Path, url: str, times: int) -> dict[str, Once]:
    """Run `--once` with each of `POLICIES`, in turns, so that noise affects all of them equally."""
    runs: dict[str, list[Once]] = {name: [] for name in POLICIES}
    for _ in range(times):
        for name, policies in POLICIES.items():
            runs[name].append(run_once(folder, url, policies))
    return {name: least(found) for name, found in runs.items()}


def least(found: Sequence[Once]) -> Once:
    return Once(
        cpu_seconds=min(once.cpu_seconds for once in found),
        peak_bytes=max(once.peak_bytes for once in found),
        violations=found[0].violations,
    )


# The parts of a refresh.


async def two_states(folder: Path, url: str) -> list[AccountState]:
    """Return an account after each of two refreshes, between which a tenth of its keys were used."""
    texts = {
        "config_file": str(write_file(folder, url, POLICIES[BROKEN])),
        "max_requests_per_minute": "1000000",
    }
    states = []
    async with monitoring(load_settings(texts, {"TOKEN": "benchmark"})) as watch:
        for _ in range(2):
            (refresher,) = watch.refreshers.values()
            await refresher.read_once()
            states.append(refresher.state)
    if any(state.failing is not None for state in states):
        raise Failed("a refresh failed")
    return states


def parts(before: AccountState, after: AccountState, times: int) -> dict[str, float]:
    """Return the CPU seconds of each part."""
    began = Moment(unix=time.time(), monotonic=time.monotonic())
    reading = Reading(listing=Listing(keys=tuple(after.keys)), began=began)
    now = time.time()
    without = replace(after, policies=NO_POLICIES, judgements={})

    def find_changes() -> None:
        with_changes(before, after, reading)

    def match() -> None:
        after.policies.by_key(after.keys)

    def render_all() -> None:
        deque(render(after, now), maxlen=0)

    def render_without() -> None:
        deque(render(without, now), maxlen=0)

    return {
        "finding changes (a tenth of the keys were used)": cpu_of(find_changes, times),
        "matching and judging keys by policies": cpu_of(match, times),
        "rendering with what most keys break": cpu_of(render_all, times),
        "rendering without policies": cpu_of(render_without, times),
    }


def cpu_of(work: Callable[[], None], times: int) -> float:
    """Return the least CPU seconds that *work* takes."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


# The tables.


def whole_table(runs: dict[str, Once]) -> str:
    base = runs[NONE].cpu_seconds
    rows = []
    for name, once in runs.items():
        more = NO_FIGURE if name == NONE else ratio(once.cpu_seconds, base)
        peak = f"{once.peak_bytes / MIB:.0f} MiB"
        rows.append((name, f"{once.violations:,}", ms(once.cpu_seconds), more, peak))
    header = ("`--once` with", "violations", "CPU", "against none", "peak memory")
    return table(header, rows)


def parts_table(found: dict[str, float]) -> str:
    return table(("part", "CPU"), parts_rows(found.items()))


def parts_rows(found: Iterable[tuple[str, float]]) -> list[tuple[str, str]]:
    return [(name, ms(seconds)) for name, seconds in found]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    arguments = parser.parse_args()
    count, times = arguments.keys, arguments.times
    now = int(time.time())
    with tempfile.TemporaryDirectory(prefix="cometapi-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        runs = whole_runs(folder, start_gateway(stack, folder, count, now), times)
        print(f"{count:,} keys\n\n{whole_table(runs)}\n", flush=True)
        url = start_gateway(stack, folder, count, now, share=TENTH)
        before, after = asyncio.run(two_states(folder, url))
        print(parts_table(parts(before, after, times)))


if __name__ == "__main__":
    main()
