"""Decide what the status page says; the template writes keys and accounts down through the filters of `formatting`.

Pure: a snapshot, a query and a time in, what the template needs out. Knows no HTML: escaping is the
template's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from exporter.account_notes import skew_note, units_note
from exporter.formatting import YEAR, count, duration, money, percent, short, utc
from exporter.model import UnusableReason
from exporter.site.choose import NO_GROUP, WORST, Choice, Entry, Query, choose
from exporter.site.verdict import (
    CRITICAL_PART,
    CRITICAL_SECONDS,
    DISABLED_IN_USE_SECONDS,
    IN_USE_SECONDS,
    LOW_PARTS,
    WARNING_SECONDS,
    Health,
    is_never_funded,
    share_left,
)
from exporter.snapshot import DRY_AFTER_SECONDS, AccountState, Snapshot

PAGE_KEYS = 200
SHORTEST_REFRESH, LONGEST_REFRESH = 5, 60
LONGEST_FORECAST = 10 * YEAR

HEALTH_WORDS: Mapping[Health, tuple[str, str]] = {
    Health.UNUSABLE: (
        "Not usable",
        (
            "cannot serve requests, but was used or expired within the last "
            f"{duration(IN_USE_SECONDS)}"
        ),
    ),
    Health.PROBABLY_DRY: (
        "Probably dry",
        (
            "less is left than a usual request costs, and nothing was spent for "
            f"{duration(DRY_AFTER_SECONDS)}"
        ),
    ),
    Health.CRITICAL: (
        "Critical",
        (
            f"expires within {duration(CRITICAL_SECONDS)}, or under "
            f"{percent(CRITICAL_PART / LOW_PARTS)} of the quota left"
        ),
    ),
    Health.WARNING: (
        "Warning",
        (
            f"expires within {duration(WARNING_SECONDS)}, or under {percent(1 / LOW_PARTS)} "
            "of the quota left"
        ),
    ),
    Health.INACTIVE: ("Inactive", "cannot serve requests, and is not in use"),
    Health.OK: ("OK", "no action needed"),
    Health.DISABLED: (
        "Disabled, unused",
        (
            "disabled at the gateway, and not used within the last "
            f"{duration(DISABLED_IN_USE_SECONDS)}"
        ),
    ),
}
"""The name of each health, and what it means."""

REASON_WORDS: Mapping[UnusableReason, str] = {
    **{reason: reason.replace("_", " ").upper() for reason in UnusableReason},
    UnusableReason.ACCOUNT_EXHAUSTED: "ACCOUNT EMPTY",
    UnusableReason.GROUP_UNAVAILABLE: "GROUP NOT OPEN",
}
COLUMNS = (
    ("name", "Key"),
    ("account", "Account"),
    ("group", "Group"),
    (WORST, "Health"),
    ("remaining", "Quota left"),
    ("expires", "Expires"),
    ("last_used", "Last used"),
)


def context(snapshot: Snapshot, query: Query, now: float) -> dict[str, Any]:
    """Return what the template needs for the page that *query* selects, as of unix time *now*."""
    query = replace(query, limit=PAGE_KEYS)
    choice = choose(snapshot, query, now)
    query = replace(query, page=choice.first // PAGE_KEYS + 1)
    states = sorted(snapshot.accounts.values(), key=lambda state: state.failing is None)
    return {
        "now": now,
        "title": title(states, choice.tally),
        "refresh_seconds": refresh_seconds(states),
        "states": states,
        "query": query,
        "choice": choice,
        "account_names": _with(sorted(snapshot.accounts), query.account),
        "groups": _with([group or NO_GROUP for group in choice.groups], query.group),
        "columns": [column for column in COLUMNS if column[0] != "account" or len(states) > 1],
        "pages": pages(query.page, choice.matched),
        "shown": shown(choice),
        "nothing": "" if choice.entries else why_nothing(snapshot, query),
    }


def title(states: Sequence[AccountState], tally: Mapping[Health, int]) -> str:
    """Begin with what is wrong, so that the browser's tab shows it."""
    failing = sum(state.failing is not None for state in states)
    wrong = [count(failing, "account") + " failing"] if failing else []
    urgent = (Health.UNUSABLE, Health.PROBABLY_DRY, Health.CRITICAL)
    wrong += [
        f"{tally[health]:,} {HEALTH_WORDS[health][0].lower()}" for health in urgent if tally[health]
    ]
    return " · ".join([", ".join(wrong), "cometapi-exporter"] if wrong else ["cometapi-exporter"])


def refresh_seconds(states: Sequence[AccountState]) -> int:
    """Choose how often the page loads again: with the refreshes, within bounds; soon while a first one is awaited."""
    if not all(state.first_refresh_ended for state in states):
        return SHORTEST_REFRESH
    interval = min((state.interval_seconds for state in states), default=LONGEST_REFRESH)
    return round(max(SHORTEST_REFRESH, min(interval, LONGEST_REFRESH)))


def _with(names: Sequence[str], selected: str) -> Sequence[str]:
    """Keep the selected one among the choices, even where it no longer exists."""
    return [*names, selected] if selected and selected not in names else names


def pages(page: int, matched: int) -> Sequence[int]:
    """Return the page numbers to link to: the first, the last and those around *page*; none where there is one page."""
    last = max(1, -(-matched // PAGE_KEYS))
    return sorted({1, last, *range(max(1, page - 1), min(last, page + 1) + 1)}) if last > 1 else []


def shown(choice: Choice) -> str:
    """Say which keys are shown, of how many."""
    of = "" if choice.matched == choice.total else f" of {choice.total:,}"
    if len(choice.entries) == choice.matched:
        return f"{choice.matched:,}{of} keys" if of else count(choice.matched, "key")
    last = choice.first + len(choice.entries)
    matching = f"{choice.matched:,} matching keys" if of else count(choice.matched, "key")
    return f"{choice.first + 1:,}\N{EN DASH}{last:,} of {matching}"


def why_nothing(snapshot: Snapshot, query: Query) -> str:
    """Say why no key is shown."""
    states = [state for state in snapshot.accounts.values() if query.account in ("", state.name)]
    if states and not any(state.serves_data for state in states):
        if (
            len(states) == 1
            and states[0].failing is not None
            and states[0].failing_since is not None
        ):
            what = "has not been read yet" if states[0].read_at is None else "has no recent data"
            return f"Account {states[0].name} {what}: {states[0].failing} since {utc(states[0].failing_since)}."
        if any(not state.first_refresh_ended for state in states):
            return "The first refresh is in progress: keys appear when it ends."
        return "There is no data to show: see the accounts above."
    return "No key matches." if query.is_narrow else "There are no keys."


def trouble(state: AccountState, now: float) -> str:
    """Say since when the refreshes of an account fail, and what that means for what is shown."""
    began = state.failing_since or now
    since = f"Failing for {duration(now - began)}, since {utc(began)}"
    if state.read_at is None:
        return f"{since}; no data yet."
    if not state.serves_data:
        return f"{since}; the data is older than {duration(state.stale_after_seconds)} and no longer shown."
    return f"{since}; showing the last known data."


def notes(state: AccountState) -> list[str]:
    """Say what is odd about an account, although its refreshes succeed."""
    found = []
    if state.skipped:
        found.append(f"{count(state.skipped, 'key')} could not be read")
    if state.excluded:
        found.append(f"{count(state.excluded, 'key')} excluded by filters")
    return [*found, *filter(None, (units_note(state), skew_note(state)))]


def badge(entry: Entry, now: float) -> str:
    """Say in a word or three how a key is."""
    key, verdict = entry.key, entry.verdict
    if (
        verdict.unusable_reason is UnusableReason.EXPIRED
        and key.expires_at is not None
        and key.expires_at <= now
    ):
        return f"EXPIRED {short(now - key.expires_at)}"
    if verdict.unusable_reason is UnusableReason.EXHAUSTED and is_never_funded(key):
        return "NEVER FUNDED"
    if verdict.unusable_reason is not None:
        return REASON_WORDS[verdict.unusable_reason]
    if verdict.health in (Health.CRITICAL, Health.WARNING):
        if verdict.by_expiry and key.expires_at is not None:
            return f"EXPIRES IN {short(key.expires_at - now)}"
        own_limit = entry.account.threshold(key).low_quota_usd is not None
        return f"{money(entry.remaining_usd or 0) if own_limit else percent(share_left(key) or 0)} LEFT"
    return HEALTH_WORDS[verdict.health][0].upper()


def runway(entry: Entry, now: float) -> str:
    """Say how long a key's quota lasts at its average rate since it was created; "" where that cannot be known."""
    key = entry.key
    age = 0 if key.created_at is None else now - key.created_at
    if (
        entry.verdict.unusable_reason is not None
        or key.remaining_quota is None
        or key.used_quota <= 0
        or age <= 0
    ):
        return ""
    seconds = key.remaining_quota / key.used_quota * age
    return (
        duration(seconds)
        if seconds < LONGEST_FORECAST
        else f"more than {duration(LONGEST_FORECAST)}"
    )


def selector(entry: Entry) -> str:
    """Write the PromQL selector of a key's series."""
    account = json.dumps(entry.account.name, ensure_ascii=False)
    return f'{{account={account},key_id="{entry.key.id}"}}'
