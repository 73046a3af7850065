"""Decide what the status page says: the context of its template, and the texts about one key.

Pure: a snapshot, a query and a time in, what the template needs out. Knows no HTML: the template
escapes.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from exporter import budgets
from exporter.account_notes import (
    assumed_note,
    balance_text,
    cached_note,
    dry_note,
    endpoint_note,
    gifts_note,
    skew_note,
    subscriptions_text,
    units_note,
    unreadable_note,
)
from exporter.budgets import MonthlyBudget
from exporter.changes import KeyChange
from exporter.dryness import DRY_AFTER_SECONDS, OWN_REQUESTS
from exporter.endpoint import Failure
from exporter.formatting import DAY, YEAR, count, duration, money, percent, short, utc
from exporter.model import ApiKey, UnusableReason
from exporter.policies import PolicyKind
from exporter.site.choose import ANY_POLICY, NO_GROUP, WORST, Choice, Entry, Query, choose
from exporter.site.choose_changes import AccountChange, ChangesQuery, changes
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
from exporter.snapshot import AccountState, Snapshot

PAGE_KEYS = 200
# What fits beside the keys; the JSON API has the others.
PAGE_CHANGES = 10
ARROW = "\N{RIGHTWARDS ARROW}"
EMPTY = "(none)"
# Bounds of how often the page loads itself again, in seconds.
SHORTEST_REFRESH = 5
LONGEST_REFRESH = 60
# Beyond this, the rate of the past says nothing.
LONGEST_FORECAST = 10 * YEAR

HEALTH_WORDS: Mapping[Health, tuple[str, str]] = {
    Health.UNUSABLE: (
        "Not usable",
        (f"in use, but requests fail: used or expired within the last {duration(IN_USE_SECONDS)}"),
    ),
    Health.PROBABLY_DRY: (
        "Probably dry",
        (
            f"nothing was spent for {duration(DRY_AFTER_SECONDS)}, and less is left, "
            "of the key or of "
            f"its account, than {OWN_REQUESTS} requests cost and than was spent in the last busy "
            "quarter of an hour"
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
            "of the quota left, or possibly dry: it rests with less than a typical request costs"
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

URGENT = (Health.UNUSABLE, Health.PROBABLY_DRY, Health.CRITICAL)
REASON_WORDS: Mapping[UnusableReason, str] = {
    **{reason: reason.replace("_", " ").upper() for reason in UnusableReason},
    # A disabled key that nobody uses has the words of its health.
    UnusableReason.DISABLED: "DISABLED IN USE",
    UnusableReason.ACCOUNT_EXHAUSTED: "ACCOUNT EMPTY",
    UnusableReason.GROUP_UNAVAILABLE: "GROUP UNAVAILABLE",
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
    several = len(states) > 1
    return {
        "now": now,
        "title": title(states, choice.tally),
        "refresh_seconds": refresh_seconds(states),
        "is_one": query.id is not None,
        "several": several,
        "states": _of_one_key(states, query, choice) if query.id is not None else states,
        "query": query,
        "choice": choice,
        "account_names": _with(sorted(snapshot.accounts), query.account),
        "groups": _with([group or NO_GROUP for group in choice.groups], query.group),
        "columns": [column for column in COLUMNS if column[0] != "account" or several],
        "pages": pages(query.page, choice.matched),
        "shown": shown(choice),
        "policies": _policies_set(snapshot),
        "changed_today": changed_today(snapshot, query, now),
        "nothing": "" if choice.entries else why_nothing(snapshot, query),
    }


def _of_one_key(
    states: Sequence[AccountState], query: Query, choice: Choice
) -> Sequence[AccountState]:
    """Return the account of the key that has a page of its own.

    Where there is no such key: the account that was asked for, or else all.
    """
    names = {entry.account.name for entry in choice.entries} or {query.account}
    return [state for state in states if state.name in names] or states


def _policies_set(snapshot: Snapshot) -> Sequence[str]:
    """Return the kinds of policies that an account has, to filter by; none where none has any."""
    found: set[PolicyKind] = set()
    for state in snapshot.accounts.values():
        found.update(state.policies.kinds)
    if not found:
        return []
    return [ANY_POLICY, *(kind for kind in PolicyKind if kind in found)]


def changed_today(snapshot: Snapshot, query: Query, now: float) -> Sequence[AccountChange]:
    """Return what was changed since midnight (UTC), newest first.

    Nothing on the page of one key.
    """
    if query.id is not None:
        return []
    today = ChangesQuery(account=query.account, since=now - now % DAY)
    return changes(snapshot, today)


def own_changes(entry: Entry) -> Sequence[KeyChange]:
    """Return the last changes of one key, newest first."""
    return entry.account.changes.of_key(entry.key.id)[:PAGE_CHANGES]


def change_words(change: KeyChange) -> str:
    """Say what changed: `expiry removed: 2025-06-15 14:00:00 UTC → never`."""
    words = change.change.replace("_", " ").replace("ip ", "IP ")
    if change.before is None or change.after is None:
        return words
    before = change.before or EMPTY
    after = change.after or EMPTY
    return f"{words}: {before} {ARROW} {after}"


def title(states: Sequence[AccountState], tally: Mapping[Health, int]) -> str:
    """Begin with what is wrong, so that the browser's tab shows it."""
    wrong = []
    failing = sum(state.failing is not None for state in states)
    if failing:
        wrong.append(f"{count(failing, 'account')} failing")
    urgent = [each for each in URGENT if tally[each]]
    wrong += [f"{tally[health]:,} {HEALTH_WORDS[health][0].lower()}" for health in urgent]
    if not wrong:
        return "cometapi-exporter"
    return f"{', '.join(wrong)} · cometapi-exporter"


def refresh_seconds(states: Sequence[AccountState]) -> int:
    """Return after how many seconds the page loads itself again.

    It follows the interval of the accounts, within bounds, and is short until each was read once.
    """
    if not all(state.first_refresh_ended for state in states):
        return SHORTEST_REFRESH
    interval = min((state.interval_seconds for state in states), default=LONGEST_REFRESH)
    return round(max(SHORTEST_REFRESH, min(interval, LONGEST_REFRESH)))


def _with(names: Sequence[str], selected: str) -> Sequence[str]:
    """Keep the selected one among the choices, even if it no longer exists."""
    if selected and selected not in names:
        return [*names, selected]
    return names


def pages(page: int, matched: int) -> Sequence[int]:
    """Return the page numbers to link to: the first, the last and those around *page*.

    Empty if there is only one page.
    """
    last = math.ceil(matched / PAGE_KEYS)
    if last <= 1:
        return []
    around = range(max(1, page - 1), min(last, page + 1) + 1)
    return sorted({1, last, *around})


def shown(choice: Choice) -> str:
    """Say which keys are shown, of how many."""
    is_filtered = choice.matched != choice.total
    if len(choice.entries) == choice.matched:
        if is_filtered:
            return f"{choice.matched:,} of {choice.total:,} keys"
        return count(choice.matched, "key")
    last = choice.first + len(choice.entries)
    matching = count(choice.matched, "matching key" if is_filtered else "key")
    return f"{choice.first + 1:,}\N{EN DASH}{last:,} of {matching}"


def why_nothing(snapshot: Snapshot, query: Query) -> str:
    """Say why no key is shown."""
    states = [state for state in snapshot.accounts.values() if query.account in ("", state.name)]
    if states and not any(state.serves_data for state in states):
        return _why_no_data(states)
    return "No key matches." if query.is_narrow else "There are no keys."


def _why_no_data(states: Sequence[AccountState]) -> str:
    first = states[0]
    if len(states) == 1 and first.failing is not None and first.failing_since is not None:
        problem = "has not been read yet" if first.read_at is None else "has no recent data"
        since = utc(first.failing_since)
        return f"Account {first.name} {problem}: {first.failing} since {since}."
    if any(not state.first_refresh_ended for state in states):
        return "The first refresh is in progress: keys appear when it ends."
    return "There is no data to show: see the accounts above."


def trouble(state: AccountState, now: float) -> str:
    """Say since when the refreshes of an account fail, and what that means for what is shown."""
    began = state.failing_since or now
    since = f"Failing for {duration(now - began)}, since {utc(began)}"
    if state.read_at is None:
        return f"{since}; no data yet."
    if not state.serves_data:
        age = duration(state.stale_after_seconds)
        return f"{since}; the data is older than {age} and no longer shown."
    return f"{since}; showing the last known data."


def balance(state: AccountState) -> str:
    """Write what the wallet has left, or why that cannot be said."""
    return balance_text(state, money)


def subscriptions(state: AccountState) -> str:
    """Write what the running subscriptions have left; "" where none is running or offered."""
    return subscriptions_text(state, money)


def endpoint_troubles(state: AccountState, now: float) -> list[tuple[str, Failure]]:
    """Say since when which endpoints beside the keys fail, and why."""
    found = []
    for path, failure in state.endpoint_failures.items():
        since = f"for {duration(now - failure.since)}, since {utc(failure.since)}"
        note = endpoint_note(state, path)
        sentence = f"{note[0].upper()}{note[1:]}: {failure.reason} {since}."
        found.append((sentence, failure))
    return found


def notes(state: AccountState) -> list[str]:
    """Say what is odd about an account, although its refreshes succeed."""
    found = []
    if state.skipped:
        found.append(f"{count(state.skipped, 'key')} could not be read")
    if state.excluded:
        found.append(f"{count(state.excluded, 'key')} excluded by filters")
    found += [
        dry_note(state),
        gifts_note(state),
        unreadable_note(state),
        assumed_note(state),
        units_note(state),
        cached_note(state),
        skew_note(state),
    ]
    return [note for note in found if note]


def account_month(state: AccountState, now: float) -> str:
    """Say what the account cost this month, and its budget; empty if neither is known."""
    return _month(budgets.of_account(state, now))


def key_month(entry: Entry, now: float) -> str:
    """Say what the key cost this month, and its budget; empty if neither is known."""
    return _month(budgets.of_key(entry.account, entry.key, now))


def _month(month: MonthlyBudget) -> str:
    spent = month.spent_usd
    budget = month.budget_usd
    if budget is None:
        return "" if spent is None else money(spent)
    if spent is None:
        return f"unknown, of a budget of {money(budget)}"
    if budget == 0:
        return f"{money(spent)} of {money(budget)}"
    return f"{money(spent)} of {money(budget)} ({percent(spent / budget)})"


def badge(entry: Entry, now: float) -> str:
    """Say in up to three words how a key is."""
    key = entry.key
    verdict = entry.verdict
    if verdict.unusable_reason is not None and verdict.health is not Health.DISABLED:
        return _unusable_badge(key, verdict.unusable_reason, now)
    if verdict.health not in (Health.CRITICAL, Health.WARNING):
        return HEALTH_WORDS[verdict.health][0].upper()
    if verdict.is_possibly_dry:
        return "POSSIBLY DRY"
    if verdict.by_expiry and key.expires_at is not None:
        return f"EXPIRES IN {short(key.expires_at - now)}"
    # A limit in dollars is compared with dollars, the default limit with a share.
    if entry.account.threshold(key).low_quota_usd is not None:
        return f"{money(entry.remaining_usd or 0)} LEFT"
    return f"{percent(share_left(key) or 0)} LEFT"


def _unusable_badge(key: ApiKey, reason: UnusableReason, now: float) -> str:
    if reason is UnusableReason.EXPIRED and key.expires_at is not None and key.expires_at <= now:
        return f"EXPIRED {short(now - key.expires_at)}"
    if reason is UnusableReason.EXHAUSTED and is_never_funded(key):
        return "NEVER FUNDED"
    return REASON_WORDS[reason]


def runway(entry: Entry, now: float) -> str:
    """Say how long a key's quota lasts at its average rate since it was created.

    "" if that cannot be known: the key is not usable, has no limit, was never used, or its age is
    not reported.
    """
    key = entry.key
    if entry.verdict.unusable_reason is not None or key.remaining_quota is None:
        return ""
    if key.created_at is None or key.created_at >= now:
        return ""
    if key.used_quota is None or key.used_quota <= 0:
        return ""
    seconds = key.remaining_quota / key.used_quota * (now - key.created_at)
    if seconds >= LONGEST_FORECAST:
        return f"more than {duration(LONGEST_FORECAST)}"
    return duration(seconds)


def selector(entry: Entry) -> str:
    """Write the PromQL selector of a key's series."""
    account = json.dumps(entry.account.name, ensure_ascii=False)
    return f'{{account={account},key_id="{entry.key.id}"}}'
