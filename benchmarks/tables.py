"""Write what was measured as Markdown: tables of figures and ratios, and the goals with how far each is met.

Pure: figures in, text out.
"""

from collections.abc import Iterable, Mapping

from client import REQUESTS
from contenders import COLLECTOR, GAUGES, GO, NGINX, OURS, TITLES
from listing import Listing
from scrapes import Figures
from stall import Stall
from upkeep import Upkeep

MIB = 1024 * 1024
Sizes = Mapping[int, Mapping[str, Figures]]
Takein = Mapping[tuple[str, int], float] | None
NO_FIGURE = "—"
TIMES = "\N{MULTIPLICATION SIGN}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ms(seconds: float | None) -> str:
    if seconds is None:
        return NO_FIGURE
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def ratio(figure: float | None, other: float | None) -> str:
    return NO_FIGURE if figure is None or not other else f"{figure / other:.3g} {TIMES}"


def scrapes(sizes: Sizes) -> str:
    return "\n\n".join(f"### {count:,} keys\n\n{_one_size(figures)}" for count, figures in sizes.items())


def _one_size(figures: Mapping[str, Figures]) -> str:
    header = ("server", "p50", "against nginx", "against ours", "p99", "CPU a scrape", "CPU against ours", "scrapes/s")
    limit, ours = figures.get(NGINX), figures[OURS]
    rows = [
        (
            TITLES[name],
            ms(its.median()),
            ratio(its.median(), limit.median() if limit else None),
            ratio(its.median(), ours.median()),
            ms(its.worst_hundredth()),
            ms(its.cpu_seconds),
            ratio(its.cpu_seconds, ours.cpu_seconds),
            NO_FIGURE if its.per_second is None else f"{its.per_second:,.3g}",
        )
        for name, its in figures.items()
    ]
    main = table(header, rows)
    names = [request.name for request in REQUESTS]
    forms = table(
        ("server", *(f"{name}: p50, bytes" for name in names), "peak memory, gzip only", "with plain"),
        [(TITLES[name], *_forms(its), _mib(its.peak_gzip), _mib(its.peak_all)) for name, its in figures.items()],
    )
    return f"{main}\n\n{forms}"


def _forms(its: Figures) -> list[str]:
    return [
        f"{ms(its.median(request))}, {its.wire_bytes[request.name]:,}" if request.name in its.wire_bytes else NO_FIGURE
        for request in REQUESTS
    ]


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"


def stalls(stall: Stall) -> str:
    rows = [
        ("`/-/healthy` of this exporter", *_waits(stall, stall.waits)),
        ("a word from an idle nginx meanwhile (the machine's own noise)", *_waits(stall, stall.control)),
        ("scrapes of this exporter meanwhile", *_waits(stall, stall.scrapes)),
    ]
    heading = table(("asked for", "times", "p50", "p99", "worst"), rows)
    return (
        f"{heading}\n\n{stall.refreshes} refreshes of {stall.keys:,} keys ended in {stall.seconds:.0f} s; "
        f"a refresh took {stall.cpu_per_refresh:.2g} s of CPU, scrapes meanwhile included; "
        f"peak memory {_mib(stall.peak_bytes)}."
    )


def _waits(stall: Stall, waits: list[float]) -> list[str]:
    if not waits:
        return [NO_FIGURE] * 4
    return [f"{len(waits):,}", ms(stall.part(0.5, waits)), ms(stall.part(0.99, waits)), ms(max(waits))]


def listings(found: Iterable[Listing]) -> str:
    rows = [
        (
            f"{it.pages:,}",
            it.who,
            f"{it.seconds:.3f} s",
            ratio(it.seconds, it.ideal_seconds),
            ms(it.cpu_seconds / it.pages),
        )
        for it in found
    ]
    return table(("pages", "client", "time", "against the ideal", "CPU a page"), rows)


def upkeep(it: Upkeep) -> str:
    return (
        f"A quiet minute at {it.keys:,} keys, one refresh in it: {it.idle_cpu_seconds:.2f} s of CPU, "
        f"{it.idle_cpu_seconds / 60:.2%} of one core.\n\n"
        f"Where the pace limit binds, the listing took {it.paced_seconds:.2f} s; "
        f"the limit allows {it.paced_ideal_seconds:.2f} s."
    )


def takein(found: Mapping[tuple[str, int], float]) -> str:
    counts = sorted({count for _, count in found})
    rows = [
        (f"{count:,}", ms(found[NGINX, count]), ms(found[OURS, count]), ratio(found[OURS, count], found[NGINX, count]))
        for count in counts
    ]
    return table(("keys", "nginx", "this exporter", "ratio"), rows)


# The goals.


def goals(
    sizes: Sizes, stall: Stall | None, found: Iterable[Listing], minute: Upkeep | None, scrape_durations: Takein
) -> str:
    rows = [
        *_scrape_goals(sizes.get(1000, {})),
        *_takein_goals(scrape_durations),
        *_stall_goals(stall),
        *(_listing_goal(it) for it in found if it.who == "this exporter"),
        *_upkeep_goals(minute),
    ]
    return table(("goal", "asked", "measured", ""), rows)


def at_most(goal: str, limit: float, figure: float | None, unit: str) -> tuple[str, str, str, str]:
    if figure is None:
        return (goal, f"≤ {limit:g} {unit}", NO_FIGURE, "not measured")
    verdict = "**met**" if figure <= limit else f"**missed** by {figure / limit - 1:.0%}"
    return (goal, f"≤ {limit:.4g} {unit}", f"{figure:.3g} {unit}", verdict)


def at_least(goal: str, limit: float, figure: float | None, unit: str) -> tuple[str, str, str, str]:
    if figure is None:
        return (goal, f"≥ {limit:g} {unit}", NO_FIGURE, "not measured")
    verdict = "**met**" if figure >= limit else f"**missed** by {1 - figure / limit:.0%}"
    return (goal, f"≥ {limit:.4g} {unit}", f"{figure:.3g} {unit}", verdict)


def _scrape_goals(figures: Mapping[str, Figures]) -> list[tuple[str, str, str, str]]:
    def times(name: str, *, cpu: bool) -> float | None:
        if name not in figures or OURS not in figures:
            return None
        its, ours = figures[name], figures[OURS]
        one, other = (its.cpu_seconds, ours.cpu_seconds) if cpu else (its.median(), ours.median())
        return one / other if one and other else None

    slower = times(NGINX, cpu=False)
    return [
        at_most("1. scrape, 1,000 keys, against nginx's static file", 8, 1 / slower if slower else None, TIMES),
        at_least("1. Go's CPU a scrape against ours", 30, times(GO, cpu=True), TIMES),
        at_least("1. the usual Python exporter's CPU against ours", 100, times(GAUGES, cpu=True), TIMES),
        at_least("(for comparison) a Python collector's CPU against ours", 100, times(COLLECTOR, cpu=True), TIMES),
    ]


def _takein_goals(found: Takein) -> list[tuple[str, str, str, str]]:
    limits = {1000: 1.1, 10_000: 1.2}
    return [
        at_most(
            f"1. Prometheus's scrape duration against nginx, {count:,} keys",
            limit,
            found[OURS, count] / found[NGINX, count] if found and (OURS, count) in found else None,
            TIMES,
        )
        for count, limit in limits.items()
    ]


def _stall_goals(stall: Stall | None) -> list[tuple[str, str, str, str]]:
    if stall is None:
        return []
    worst = max(stall.waits) * 1e3
    allowed = (50e6 + 2500 * stall.keys) / 1e6
    return [
        at_most(f"2. worst wait while refreshes end, {stall.keys:,} keys", 20, worst, "ms"),
        at_most(f"3. peak memory, {stall.keys:,} keys", allowed, stall.peak_bytes / 1e6, "MB"),
    ]


def _listing_goal(it: Listing) -> tuple[str, str, str, str]:
    limit = 1.3 if it.pages < 100 else 1.1
    return at_most(f"4. listing {it.pages:,} pages against the ideal", limit, it.seconds / it.ideal_seconds, TIMES)


def _upkeep_goals(it: Upkeep | None) -> list[tuple[str, str, str, str]]:
    if it is None:
        return []
    return [
        at_most("4. paced listing against the limit", 1.05, it.paced_seconds / it.paced_ideal_seconds, TIMES),
        at_most("5. idle, 1,000 keys, of one core", 0.5, it.idle_cpu_seconds / 60 * 100, "%"),
    ]
