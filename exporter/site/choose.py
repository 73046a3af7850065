"""Choose which keys to show, and in which order.

Pure: a snapshot, a query and a time in; no HTTP, no words. Made for tens of thousands of keys: no more than the shown
ones are worth any work beyond a comparison.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from exporter.model import ApiKey
from exporter.site.query import NO_GROUP, WORST, Query
from exporter.site.verdict import Health, Verdict, judge
from exporter.snapshot import AccountState, Snapshot


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A key, whose it is, and how it is."""

    account: AccountState
    key: ApiKey
    verdict: Verdict

    def usd(self, units: int) -> float:
        """Return the money that *units* of quota are at the key's account."""
        return units / self.account.quota_units_per_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The keys to show.

    *entries* begin with number *first* (from 0) of all *matched*, of the *total* that there are. *tally* counts what
    matches but for the asked health; *groups* are those of all keys.
    """

    entries: Sequence[Entry]
    first: int
    matched: int
    total: int
    tally: Mapping[Health, int]
    groups: Sequence[str]


def choose(snapshot: Snapshot, query: Query, now: float) -> Choice:
    """Choose from *snapshot* what *query* asks for, as of unix time *now*; a page past the last is the last."""
    served = [state for state in snapshot.accounts.values() if state.serves_data]
    narrowed = [Entry(state, key, judge(key, now)) for state, key in _narrowed(served, query)]
    tally = Counter(entry.verdict.health for entry in narrowed)
    matching = [entry for entry in narrowed if entry.verdict.health == query.health] if query.health else narrowed
    first, end = _cut(query, len(matching))
    return Choice(
        entries=_sorted(matching, query, end)[first:end],
        first=first,
        matched=len(matching),
        total=sum(len(state.keys) for state in served),
        tally={health: tally[health] for health in Health},
        groups=sorted({key.group for state in served for key in state.keys}),
    )


def _cut(query: Query, matched: int) -> tuple[int, int]:
    if query.limit is None:
        return 0, matched
    last_page = max(1, -(-matched // query.limit))
    page = min(query.page, last_page)
    return (page - 1) * query.limit, min(page * query.limit, matched)


def _narrowed(served: Sequence[AccountState], query: Query) -> Iterator[tuple[AccountState, ApiKey]]:
    """Give every key that matches but for its health, cheapest question first."""
    words = query.search.casefold().split()
    for state in served:
        if query.account and state.name != query.account:
            continue
        for key in state.keys:
            if (
                (not query.group or key.group == query.group or (query.group == NO_GROUP and not key.group))
                and (not query.status or key.status_word == query.status)
                and (not words or _mentions(words, state, key))
            ):
                yield state, key


def _mentions(words: Sequence[str], state: AccountState, key: ApiKey) -> bool:
    text = f"{key.name}\n{key.group}\n{state.name}\n{key.id}".casefold()
    return all(word in text for word in words)


SORT_VALUES: Mapping[str, Callable[[Entry], Any]] = {
    "name": lambda entry: entry.key.name.casefold(),
    "id": lambda entry: entry.key.id,
    "account": lambda entry: entry.account.name,
    "group": lambda entry: entry.key.group,
    "status": lambda entry: entry.key.status_word,
    "remaining": lambda entry: None if entry.key.remaining_quota is None else entry.usd(entry.key.remaining_quota),
    "used": lambda entry: entry.usd(entry.key.used_quota),
    "expires": lambda entry: entry.key.expires_at,
    "last_used": lambda entry: entry.key.last_used_at,
    WORST: lambda entry: entry.verdict.rank,
}


def _sorted(entries: Sequence[Entry], query: Query, end: int) -> Sequence[Entry]:
    """Sort at least the first *end*; keys to which the sorted fact does not apply come last in either direction."""
    value = SORT_VALUES[query.sort]
    having = [entry for entry in entries if value(entry) is not None]
    lacking = [entry for entry in entries if value(entry) is None]
    if end < len(having) // 4:
        choose_first = heapq.nlargest if query.descending else heapq.nsmallest
        return choose_first(end, having, key=value)
    return [*sorted(having, key=value, reverse=query.descending), *lacking]
