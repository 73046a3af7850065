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
from tables import NO_FIGURE, TIMES, Sizes, Takein, table
from upkeep import Upkeep

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

    def cpu(name: str, *, shared: bool = False) -> float | None:
        its = figures[name].cpu_seconds if name in figures else None
        ours = (
            None
            if OURS not in figures
            else figures[OURS].cpu_seconds
            if shared
            else figures[OURS].alone_seconds
        )
        return its / ours if its and ours else None

    nginx, ours = (figures[name].median() if name in figures else None for name in (NGINX, OURS))
    slower = ours / nginx if ours and nginx else None
    yield at_most("1. scrape, 1,000 keys, against nginx's static file", 6, slower, TIMES)
    yield at_least("1. Go's CPU for a scrape against ours", 60, cpu(GO), TIMES)
    yield at_least("1. the usual Python exporter's CPU against ours", 170, cpu(GAUGES), TIMES)
    yield at_least(
        "(for comparison) a Python collector's CPU against ours", 170, cpu(COLLECTOR), TIMES
    )
    for who, name, limit in (("Go's", GO, 60), ("the usual Python exporter's", GAUGES, 170)):
        yield at_least(
            f"(for comparison) {who} CPU against ours where scrapes share a second",
            limit,
            cpu(name, shared=True),
            TIMES,
        )


def _takein(found: Takein) -> Iterator[Row]:
    for count in (1000, 10_000):
        figure = (
            found[OURS, count] / found[NGINX, count] if found and (OURS, count) in found else None
        )
        yield at_most(
            f"1. Prometheus's scrape duration against nginx, {count:,} keys", 1.1, figure, TIMES
        )


def _stalls(found: Iterable[Stall]) -> Iterator[Row]:
    for stall in found:
        if stall.expiries:
            limit = 150 if stall.expiries > 1 else 300
            what = f"{stall.keys:,} keys, {stall.expiries:g} expiries a second"
        else:
            limit, what = 300, f"{stall.keys:,} keys, while refreshes end"
            yield at_most(f"2. worst wait, {what}", 20, max(stall.waits) * 1e3, "ms")
        yield at_most(
            f"2. p99 of scrapes, {what}", limit, stall.part(0.99, stall.scrapes) * 1e3, "ms"
        )


def _memory(crowd: Crowd) -> Iterator[Row]:
    allowed = (50e6 + 2500 * crowd.keys) / 1e6
    for kind, peak in crowd.peaks.items():
        yield at_most(
            f"3. peak memory, {crowd.keys:,} keys, {crowd.readers} slow readers of {kind}",
            allowed,
            peak / 1e6,
            "MB",
        )


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
        yield at_most(name, 1.5, found.against_one(accounts, keys), TIMES)
    share = found.nothing_against_all
    yield at_most(
        "6. a refresh without changes against one with",
        10,
        None if share is None else share * 100,
        "%",
    )
