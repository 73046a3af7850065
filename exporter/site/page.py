"""Lay out the status page: every word and number on it, and nothing of how it looks.

Pure: a snapshot, a query and a time in, views for the template out. Knows no HTML: escaping is the template's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.site.accounts import AccountView, account_view
from exporter.site.choose import Choice, choose
from exporter.site.query import NO_GROUP, WORST, Query
from exporter.site.rows import Row, row
from exporter.site.verdict import Health
from exporter.site.words import count, utc
from exporter.snapshot import AccountState, Snapshot

PAGE_ROWS = 200
SHORTEST_REFRESH, LONGEST_REFRESH = 5, 60

HEALTH_WORDS: Mapping[Health, tuple[str, str]] = {
    Health.DEAD: ("Dead but enabled", "the API says enabled, yet no request would be served"),
    Health.CRITICAL: ("Critical", "less than a day to the expiry, or under 2 % of the quota left"),
    Health.WARNING: ("Warning", "less than a week to the expiry, or under 10 % of the quota left"),
    Health.ENDED: ("Ended", "expired or exhausted, and the API says so"),
    Health.OK: ("Fine", "works, and will for a while"),
    Health.DISABLED: ("Disabled", "switched off by somebody"),
}
COLUMNS = (
    ("name", "Key"),
    ("account", "Account"),
    ("group", "Group"),
    ("status", "Status"),
    ("worst", "Usable"),
    ("remaining", "Quota left and used"),
    ("expires", "Expires"),
    ("last_used", "Last used"),
)
SORT_WORDS = (
    (WORST, "worst first"),
    ("name", "name"),
    ("-name", "name, reversed"),
    ("id", "oldest key"),
    ("-id", "newest key"),
    ("account", "account"),
    ("-account", "account, reversed"),
    ("group", "group"),
    ("-group", "group, reversed"),
    ("status", "status"),
    ("-status", "status, reversed"),
    ("remaining", "least left"),
    ("-remaining", "most left"),
    ("used", "least spent"),
    ("-used", "most spent"),
    ("expires", "soonest expiry"),
    ("-expires", "latest expiry"),
    ("last_used", "longest idle"),
    ("-last_used", "latest used"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many keys have one health, and the link to them alone; *health* is "" for all."""

    health: str
    label: str
    hint: str
    number: str
    link: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column's head: a link that sorts by it; *direction* as in `aria-sort`, "" while it does not sort."""

    key: str
    label: str
    link: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole page."""

    title: str
    written_at: str
    refresh_seconds: int
    accounts: Sequence[AccountView]
    query: Query
    account_names: Sequence[str]
    groups: Sequence[tuple[str, str]]
    tallies: Sequence[Tally]
    columns: Sequence[Column]
    rows: Sequence[Row]
    shown: str
    nothing: str
    back: str
    forth: str


def lay_out(snapshot: Snapshot, query: Query, now: float) -> Page:
    """Lay out the page that *query* asks for, as of unix time *now*."""
    query = replace(query, limit=PAGE_ROWS)
    choice = choose(snapshot, query, now)
    query = replace(query, page=choice.first // PAGE_ROWS + 1)
    states = sorted(snapshot.accounts.values(), key=lambda state: state.failing is None)
    is_last = choice.first + len(choice.entries) >= choice.matched
    return Page(
        title=_title(states, choice),
        written_at=utc(now),
        refresh_seconds=_refresh_seconds(states),
        accounts=[account_view(state, now) for state in states],
        query=query,
        account_names=_with(sorted(snapshot.accounts), query.account),
        groups=_group_choices(choice.groups, query.group),
        tallies=_tallies(query, choice),
        columns=[_column(key, label, query) for key, label in COLUMNS if key != "account" or len(states) > 1],
        rows=[row(entry, now) for entry in choice.entries],
        shown=_shown(choice),
        nothing="" if choice.entries else _why_nothing(snapshot, query),
        back=_to_page(query, query.page - 1) if query.page > 1 else "",
        forth="" if is_last else _to_page(query, query.page + 1),
    )


def _title(states: Sequence[AccountState], choice: Choice) -> str:
    """Begin with what is wrong, so that a browser's tab tells it."""
    down = sum(state.failing is not None for state in states)
    wrong = [count(down, "account") + " down"] if down else []
    wrong += [f"{choice.tally[health]:,} {health}" for health in (Health.DEAD, Health.CRITICAL) if choice.tally[health]]
    return " · ".join([", ".join(wrong), "cometapi-exporter"] if wrong else ["cometapi-exporter"])


def _refresh_seconds(states: Sequence[AccountState]) -> int:
    interval = min((state.interval_seconds for state in states), default=LONGEST_REFRESH)
    return round(max(SHORTEST_REFRESH, min(interval, LONGEST_REFRESH)))


def _with(names: Sequence[str], asked: str) -> Sequence[str]:
    """Keep the asked one among the choices, even where there is no such thing any more."""
    return [*names, asked] if asked and asked not in names else names


def _group_choices(groups: Sequence[str], asked: str) -> Sequence[tuple[str, str]]:
    values = _with([group or NO_GROUP for group in groups], asked)
    return [(value, "no group" if value == NO_GROUP else value) for value in values]


def _tallies(query: Query, choice: Choice) -> Sequence[Tally]:
    whole = Tally(
        health="",
        label="All",
        hint="every key that matches",
        number=f"{sum(choice.tally.values()):,}",
        link=_link(replace(query, health="", page=1)),
        is_chosen=not query.health,
    )
    return [whole, *(_tally(query, health, choice.tally[health]) for health in Health)]


def _tally(query: Query, health: Health, number: int) -> Tally:
    label, hint = HEALTH_WORDS[health]
    link = _link(replace(query, health=health.value, page=1))
    is_chosen = query.health == health
    return Tally(health=health.value, label=label, hint=hint, number=f"{number:,}", link=link, is_chosen=is_chosen)


def _column(key: str, label: str, query: Query) -> Column:
    direction = "" if query.sort != key else "descending" if query.descending else "ascending"
    target = replace(query, sort=WORST, descending=False, page=1) if key == WORST else query.sorted_by(key)
    return Column(key=key, label=label, link=_link(target), direction=direction)


def _link(query: Query) -> str:
    return query.query_string() or "./"


def _to_page(query: Query, page: int) -> str:
    return _link(replace(query, page=page))


def _shown(choice: Choice) -> str:
    """Say which of how many keys are shown, and how many are not."""
    last = choice.first + len(choice.entries)
    if len(choice.entries) == choice.matched == choice.total:
        return count(choice.total, "key")
    if len(choice.entries) == choice.matched:
        return f"{choice.matched:,} of {count(choice.total, 'key')}"
    of = f"{choice.matched:,}" if choice.matched == choice.total else f"{choice.matched:,} matching"
    return f"{choice.first + 1:,} to {last:,} of {of}; {choice.matched - len(choice.entries):,} on other pages"


def _why_nothing(snapshot: Snapshot, query: Query) -> str:
    states = snapshot.accounts.values()
    if not any(state.serves_data for state in states):
        if any(not state.first_refresh_ended for state in states):
            return "The first refresh is under way: the keys appear when it ends."
        return "There is no data to show: see the accounts above."
    return "No key matches." if query.is_narrow else "The accounts have no keys."
