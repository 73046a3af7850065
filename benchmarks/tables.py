"""Write what was measured as Markdown: tables of figures and ratios.

Pure: figures in, text out.
"""

from collections.abc import Iterable, Mapping

from client import REQUESTS
from contenders import NGINX, OURS, TITLES
from crowd import Crowd
from fleet import Fleets
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
    return "\n\n".join(
        f"### {count:,} keys\n\n{_one_size(figures)}" for count, figures in sizes.items()
    )


def _one_size(figures: Mapping[str, Figures]) -> str:
    header = (
        "server",
        "p50",
        "against nginx",
        "against ours",
        "p99",
        "CPU per scrape",
        "CPU against ours",
        "scrapes/s",
    )
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
        (
            "server",
            *(f"{name}: p50, bytes" for name in names),
            "peak memory, gzip only",
            "with plain",
        ),
        [
            (TITLES[name], *_forms(its), _mib(its.peak_gzip), _mib(its.peak_all))
            for name, its in figures.items()
        ],
    )
    alone = f"On its own, a scrape of this exporter takes {ms(ours.alone_seconds)} of CPU."
    return f"{main}\n\n{alone}\n\n{forms}"


def _forms(its: Figures) -> list[str]:
    return [
        f"{ms(its.median(request))}, {its.wire_bytes[request.name]:,}"
        if request.name in its.wire_bytes
        else NO_FIGURE
        for request in REQUESTS
    ]


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"


def stalls(found: Iterable[Stall]) -> str:
    rows = []
    for stall in found:
        what = (
            f"{stall.expiries:g} expiries a second"
            if stall.expiries
            else f"{stall.refreshes} refreshes end"
        )
        name = f"{stall.keys:,} keys, {what}"
        rows += [
            (name, "`/-/healthy`", *_waits(stall, stall.waits)),
            (name, "idle nginx (baseline)", *_waits(stall, stall.control)),
            (name, "scrapes", *_waits(stall, stall.scrapes)),
        ]
    return table(("while", "request", "times", "p50", "p99", "worst"), rows)


def fleets(found: Fleets) -> str:
    rows = [
        (
            f"{it.accounts} {TIMES} {it.keys:,}",
            f"{it.share:.0%}",
            ms(it.cpu_seconds),
            ms(it.cpu_seconds / (it.accounts * it.keys) * 1000),
            ratio(it.cpu_seconds, found.cpu(1, it.accounts * it.keys)),
        )
        for it in found.fleets
    ]
    header = (
        f"accounts {TIMES} keys",
        "keys used in between",
        "CPU",
        "for 1,000 keys",
        "against one account",
    )
    note = f"Listing {found.listed_keys:,} keys takes {ms(found.listing_cpu_seconds)} of this CPU."
    return f"{table(header, rows)}\n\n{note}"


def crowds(crowd: Crowd) -> str:
    rows = [
        ("nothing yet", _mib(crowd.idle_bytes)),
        *((kind, _mib(peak)) for kind, peak in crowd.peaks.items()),
    ]
    return table((f"{crowd.readers} slow readers of", "peak memory so far"), rows)


def _waits(stall: Stall, waits: list[float]) -> list[str]:
    if not waits:
        return [NO_FIGURE] * 4
    return [
        f"{len(waits):,}",
        ms(stall.part(0.5, waits)),
        ms(stall.part(0.99, waits)),
        ms(max(waits)),
    ]


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
    return table(("pages", "client", "time", "against the ideal", "CPU per page"), rows)


def upkeep(it: Upkeep) -> str:
    return (
        f"A quiet minute at {it.keys:,} keys, one refresh in it: {it.idle_cpu_seconds:.2f} s of CPU, "
        f"{it.idle_cpu_seconds / 60:.2%} of one core.\n\n"
        f"Where the rate limit binds, the listing took {it.paced_seconds:.2f} s; "
        f"the limit allows {it.paced_ideal_seconds:.2f} s."
    )


def takein(found: Mapping[tuple[str, int], float]) -> str:
    counts = sorted({count for _, count in found})
    rows = [
        (
            f"{count:,}",
            ms(found[NGINX, count]),
            ms(found[OURS, count]),
            ratio(found[OURS, count], found[NGINX, count]),
        )
        for count in counts
    ]
    return table(("keys", "nginx", "this exporter", "ratio"), rows)
