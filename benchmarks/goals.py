"""Judge what was measured by the six goals, and write how far each is met.

Pure: figures in, a Markdown table out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contenders import COLLECTOR, GAUGES, GO, NGINX, OURS
from crowd import Crowd
from fleet import Fleets
from listing import Listing
from stall import Stall
from tables import MIB, NO_FIGURE, TIMES, Sizes, Takein, table
from upkeep import Upkeep

SMALL_KEYS = 20_000
# What docs/scaling.md promises.
MEMORY_MIB = {10_000: 128, 100_000: 512}

Row = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that one run measured; None or empty where a program is missing or the run was quick."""

    sizes: Sizes
    takein: Takein
    stalls: list[Stall]
    crowd: Crowd
    listings: list[Listing] = field(default_factory=list)
    upkeep: Upkeep | None
    fleets: Fleets


def goals(it: Measured) -> str:
    rows = [
        *_scrapes(it.sizes),
        *_takein(it.takein),
        *_stalls(it.stalls),
        *_memory(it.crowd),
        *_listings(it.listings),
        *_upkeep(it.upkeep),
        *_fleets(it.fleets),
    ]
    return table(("goal", "required", "measured", ""), rows)


def at_most(goal: str, limit: float, figure: float | None, unit: str) -> Row:
    if figure is None:
        return (goal, f"≤ {limit:g} {unit}", NO_FIGURE, "not measured")
    verdict = "**met**" if figure <= limit else f"**missed** by {figure / limit - 1:.0%}"
    return (goal, f"≤ {limit:.4g} {unit}", f"{figure:.3g} {unit}", verdict)


def at_least(goal: str, limit: float, figure: float | None, unit: str) -> Row:
    if figure is None:
        return (goal, f"≥ {limit:g} {unit}", NO_FIGURE, "not measured")
    verdict = "**met**" if figure >= limit else f"**missed** by {1 - figure / limit:.0%}"
    return (goal, f"≥ {limit:.4g} {unit}", f"{figure:.3g} {unit}", verdict)


def _scrapes(sizes: Sizes) -> Iterator[Row]:
    figures = sizes.get(1000, {})
    ours = figures[OURS].alone_seconds if OURS in figures else None
    for goal, name, limit in (
        ("1. CPU per scrape: Go against this exporter", GO, 20),
        ("1. CPU per scrape: the usual Python exporter against this one", GAUGES, 60),
        (
            "(for comparison) CPU per scrape: a Python collector against this exporter",
            COLLECTOR,
            60,
        ),
    ):
        theirs = figures[name].cpu_seconds if name in figures else None
        yield at_least(goal, limit, theirs / ours if theirs and ours else None, TIMES)


def _takein(found: Takein) -> Iterator[Row]:
    for count, limit in ((1000, 1.3), (10_000, 1.15)):
        figure = None
        if found and (OURS, count) in found:
            figure = found[OURS, count] / found[NGINX, count]
        goal = f"1. Prometheus's scrape duration against nginx, {count:,} keys"
        yield at_most(goal, limit, figure, TIMES)


def _stalls(found: Iterable[Stall]) -> Iterator[Row]:
    for stall in found:
        what = f"{stall.keys:,} keys, while refreshes end"
        if stall.expiries:
            what = f"{stall.keys:,} keys, {stall.expiries:g} expiries a second"
        # At 20,000 keys an account never rests between expiries; at 100,000 it does.
        limit = 150 if stall.keys <= SMALL_KEYS else 400
        yield at_most(f"2. worst wait, {what}", 20, max(stall.waits) * 1e3, "ms")
        p99 = stall.part(0.99, stall.scrapes) * 1e3
        yield at_most(f"2. p99 of scrapes, {what}", limit, p99, "ms")


def _memory(crowd: Crowd) -> Iterator[Row]:
    for kind, peak in crowd.peaks.items():
        goal = f"3. peak memory, {crowd.keys:,} keys, {crowd.readers} slow readers of {kind}"
        yield at_most(goal, MEMORY_MIB[crowd.keys], peak / MIB, "MiB")


def _listings(found: Iterable[Listing]) -> Iterator[Row]:
    for it in found:
        if it.who == "this exporter":
            limit = 1.3 if it.pages < 100 else 1.1
            yield at_most(
                f"4. listing {it.pages:,} pages against the ideal",
                limit,
                it.seconds / it.ideal_seconds,
                TIMES,
            )


def _upkeep(it: Upkeep | None) -> Iterator[Row]:
    if it is not None:
        yield at_most(
            "4. rate-limited listing against the limit",
            1.05,
            it.paced_seconds / it.paced_ideal_seconds,
            TIMES,
        )
        yield at_most("5. idle, 1,000 keys, of one core", 0.5, it.idle_cpu_seconds / 60 * 100, "%")


def _fleets(found: Fleets) -> Iterator[Row]:
    for accounts, keys in ((50, 200), (50, 1000)):
        name = f"6. CPU of {accounts} accounts of {keys:,} keys against one of {accounts * keys:,}"
        yield at_most(name, 2.5, found.against_one(accounts, keys), TIMES)
