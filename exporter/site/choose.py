"""Choose which keys to show, and in which order.

Pure: a snapshot, a query and a time in; no HTTP, no words. Query strings are hostile: what is
unknown is ignored, what is too much is clamped, nothing raises.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

import msgspec

from exporter.bounds import first_groups
from exporter.model import LONGEST_LABEL, STATUS_LABELS, ApiKey
from exporter.policies import PolicyKind
from exporter.site.verdict import RANKS, Health, Verdict, judge
from exporter.snapshot import AccountState, Snapshot

WORST = "worst"
NO_GROUP = "(none)"
LONGEST_SEARCH = 100
LONGEST_NUMBER = 19
ANY_POLICY = "any"
POLICIES = (ANY_POLICY, *PolicyKind)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A key, the account it belongs to, and how it is."""

    account: AccountState
    key: ApiKey
    verdict: Verdict

    @property
    def remaining_usd(self) -> float | None:
        """The money that the key has left; None for an unlimited key."""
        left = self.key.remaining_quota
        return None if left is None else self.account.usd(left)

    @property
    def used_usd(self) -> float | None:
        """The money that the key has spent; None where the gateway does not tell."""
        used = self.key.used_quota
        return None if used is None else self.account.usd(used)


SORTS: Mapping[str, Callable[[Entry], Any]] = {
    WORST: lambda entry: (RANKS[entry.verdict.health], entry.verdict.urgency),
    "name": lambda entry: entry.key.name.casefold(),
    "id": lambda entry: entry.key.id,
    "account": lambda entry: entry.account.name,
    "group": lambda entry: entry.key.group,
    "status": lambda entry: entry.key.status_word,
    "remaining": lambda entry: entry.remaining_usd,
    "used": lambda entry: entry.used_usd,
    "expires": lambda entry: entry.key.expires_at,
    "last_used": lambda entry: entry.key.last_used_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to show; "" means all.

    *group* may be `NO_GROUP` for the keys without one; *policy* is one of `POLICIES` for the keys
    that break it, or any with `ANY_POLICY`; *q* holds words that all have to occur.
    *sort* is one of `SORTS`, with a leading "-" for descending (`WORST` has no other direction).
    *limit* is None where nothing is cut.
    """

    account: str = ""
    id: int | None = None
    group: str = ""
    status: str = ""
    health: str = ""
    policy: str = ""
    q: str = ""
    sort: str = WORST
    page: int = 1
    limit: int | None = None

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> "Query":
        """Read the pairs of a query string; of two with one name the later wins."""
        given = dict(pairs)
        sorts = (*SORTS, *(f"-{sort}" for sort in SORTS if sort != WORST))
        return cls(
            account=given.get("account", "")[:LONGEST_LABEL],
            id=number(given.get("id")),
            group=given.get("group", "")[:LONGEST_LABEL],
            status=_one_of(STATUS_LABELS, given.get("status")),
            health=_one_of(tuple(Health), given.get("health")),
            policy=_one_of(POLICIES, given.get("policy")),
            q=given.get("q", "")[:LONGEST_SEARCH].strip(),
            sort=_one_of(sorts, given.get("sort")) or WORST,
            page=number(given.get("page")) or 1,
            limit=number(given.get("limit")) or None,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything is filtered out."""
        return any(
            (
                self.account,
                self.id is not None,
                self.group,
                self.status,
                self.health,
                self.policy,
                self.q,
            )
        )

    def link(self, **changes: str | int | None) -> str:
        """Return the relative URL of this query with *changes*, on page 1 unless they set one."""
        query: Query = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        given = {
            each.name: getattr(query, each.name) for each in fields(self) if each.name != "limit"
        }
        told = {
            name: value for name, value in given.items() if value != getattr(NOTHING_ASKED, name)
        }
        encoded = urlencode(told, errors="replace")
        return f"?{encoded}" if encoded else "./"


NOTHING_ASKED = Query()


def _one_of(words: Iterable[str], text: str | None) -> str:
    return next((str(word) for word in words if word == text), "")


def number(text: str | None) -> int | None:
    """Return a whole number from 0, or None for anything else."""
    return int(text[:LONGEST_NUMBER]) if text and text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The keys to show.

    *entries* begin with number *first* (from 0) of all *matched*, of the *total* that there are.
    *tally* counts what matches but for the chosen health; *groups* are those of all keys.
    """

    entries: Sequence[Entry]
    first: int
    matched: int
    total: int
    tally: Mapping[Health, int]
    groups: Sequence[str]


def choose(snapshot: Snapshot, query: Query, now: float) -> Choice:
    """Choose from *snapshot* what *query* selects at unix time *now*.

    A page past the last one is the last one.
    """
    served = [state for state in snapshot.accounts.values() if state.serves_data]
    narrowed = [
        Entry(state, key, judge(state, key, now))
        for state, key in _narrowed(served, query)
        if not query.policy or _breaks(query.policy, state, key, now)
    ]
    tally = Counter(entry.verdict.health for entry in narrowed)
    matching = (
        [entry for entry in narrowed if entry.verdict.health == query.health]
        if query.health
        else narrowed
    )
    limit = query.limit or max(len(matching), 1)
    first = min(query.page - 1, max(len(matching) - 1, 0) // limit) * limit
    return Choice(
        entries=_sorted(matching, query.sort)[first : first + limit],
        first=first,
        matched=len(matching),
        total=sum(len(state.keys) for state in served),
        tally={health: tally[health] for health in Health},
        groups=first_groups(_groups_of(served)),
    )


def _groups_of(states: Iterable[AccountState]) -> set[str]:
    groups: set[str] = set()
    for state in states:
        groups.update(key.group for key in state.keys)
    return groups


def _narrowed(
    served: Sequence[AccountState], query: Query
) -> Iterator[tuple[AccountState, ApiKey]]:
    """Give every key that matches but for its health, cheapest question first."""
    words = query.q.casefold().split()
    for state in served:
        if query.account and state.name != query.account:
            continue
        for key in state.keys:
            if (
                (query.id is None or key.id == query.id)
                and (
                    not query.group
                    or key.group == query.group
                    or (query.group == NO_GROUP and not key.group)
                )
                and (not query.status or key.status_word == query.status)
                and (not words or _mentions(words, state, key))
            ):
                yield state, key


def _breaks(policy: str, state: AccountState, key: ApiKey, now: float) -> bool:
    broken = state.broken_policies(key, now)
    return bool(broken) if policy == ANY_POLICY else policy in broken


def _mentions(words: Sequence[str], state: AccountState, key: ApiKey) -> bool:
    text = f"{key.name}\n{key.group}\n{state.name}\n{key.id}".casefold()
    return all(word in text for word in words)


def _sorted(entries: Sequence[Entry], sort: str) -> Sequence[Entry]:
    """Sort; keys to which the sorted fact does not apply come last in either direction."""
    value = SORTS[sort.removeprefix("-")]
    having = [entry for entry in entries if value(entry) is not None]
    lacking = [entry for entry in entries if value(entry) is None]
    return [*sorted(having, key=value, reverse=sort.startswith("-")), *lacking]
