"""Say of one account what its strip on the status page says.

Pure: a state and a time in, words out. Knows no HTML and no single key.
"""

from dataclasses import dataclass

from exporter.errors import FIXES
from exporter.site.words import count, duration, moment, money, utc
from exporter.snapshot import AccountState

NO_DATA = "no data"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One account in words; *trouble* is "" while the last refresh succeeded."""

    name: str
    state: str
    reason: str
    trouble: str
    advice: str
    age: str
    read_at: str
    balance: str
    spent: str
    usable: str
    skipped: str
    next_refresh: str


def account_view(state: AccountState, now: float) -> AccountView:
    """Say how one account is."""
    serves, read_at, failing = state.serves_data, state.read_at, state.failing
    balance, spent = _balance(state) if serves else (NO_DATA, "")
    usable = sum(key.is_usable(now) for key in state.keys)
    return AccountView(
        name=state.name,
        state="starting" if not state.first_refresh_ended else "up" if failing is None else "down",
        reason="" if failing is None else failing.value,
        trouble=_trouble(state, now),
        advice="" if failing is None else FIXES[failing],
        age="not read yet" if read_at is None else f"{duration(now - read_at)} ago",
        read_at="" if read_at is None else utc(read_at),
        balance=balance,
        spent=spent,
        usable=f"{usable:,} of {len(state.keys):,}" if serves else NO_DATA,
        skipped=f"{count(state.skipped, 'key')} could not be read" if state.skipped else "",
        next_refresh=_next_refresh(state, now),
    )


def _balance(state: AccountState) -> tuple[str, str]:
    """Say what is left and what was spent."""
    balance = state.balance
    if balance is None:
        return "not told", ""
    left, used = (units / state.quota_units_per_usd for units in (balance.remaining_quota, balance.used_quota))
    requests = "" if balance.requests is None else f", {count(balance.requests, 'request')}"
    return money(left), f"{money(used)} used{requests}"


def _trouble(state: AccountState, now: float) -> str:
    if state.failing is None or state.failing_since is None:
        return ""
    since = f"for {duration(now - state.failing_since)}, since {utc(state.failing_since)}"
    if state.read_at is None:
        return f"{since}; nothing has been read yet"
    if not state.serves_data:
        return f"{since}; the data is older than {duration(state.stale_after_seconds)} and withdrawn"
    return f"{since}; what was read last is shown"


def _next_refresh(state: AccountState, now: float) -> str:
    if not state.first_refresh_ended:
        return "first refresh under way"
    if state.next_refresh_at is None or state.next_refresh_at <= now:
        return "under way"
    return moment(state.next_refresh_at, now)
