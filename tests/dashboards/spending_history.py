"""Seventy days of spending in the gateway double's books, and what Prometheus holds of them.

Pure and deterministic. The counters of the first weeks are backfilled; then one exporter runs, which
restarts, and then two.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from books import Books
from dashboards.sample_history import line


def at(month: int, day: int, hour: int = 0) -> int:
    """Return the unix time of a moment of 2026 in UTC."""
    return int(datetime(2026, month, day, hour, tzinfo=UTC).timestamp())


HOUR, DAY, STEP = 3_600, 86_400, 1_800
BEGAN, LIVE, RESTARTED, SECOND, END = at(3, 25), at(4, 20), at(5, 5, 3), at(5, 10), at(6, 1)
"""When the backfill begins, the exporter starts, it restarts, a second one starts, and everything ends.

A restart loses what is spent between two samples, which are half an hour apart here: hence at night.
"""
RAISED = at(5, 10)
"""When the price factor of group vip rises from 1 to 1.5."""
UNITS_PER_USD = {"shop": 500_000, "models": 1_000_000, "young": 500_000, "off": 500_000}
BUDGET = 60_000_000
INSTALLATION = {"job": "cometapi", "cluster": "home", "namespace": "monitoring"}


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account with its books; *keys* are (id, name, group), none where usage is told by model alone."""

    name: str
    keys: tuple[tuple[int, str, str], ...] = ()
    since: int = BEGAN
    month_since: int = LIVE
    books: Books = field(default_factory=Books)


def spends(hour: int, share: int) -> int:
    """Return the quota units of an hour: more in office hours of weekdays."""
    when = datetime.fromtimestamp(hour, UTC)
    works = when.weekday() < 5 and 8 <= when.hour < 18
    return share * (200_000 if works else 20_000)


def accounts() -> list[Account]:
    """Return accounts whose books are full."""
    shop = Account(name="shop", keys=((7, "web", "vip"), (8, "batch", "")))
    models = Account(name="models", month_since=at(5, 1))
    young = Account(name="young", since=LIVE, month_since=at(5, 1))
    for account in (shop, models, young):
        for hour in range(BEGAN, END, HOUR):
            for key_id, name, group in account.keys or ((0, "", "default"),):
                for share, model in enumerate(("gpt-5", "small"), start=1):
                    account.books.book(
                        hour, model, spends(hour, share), key_id=key_id, key_name=name, group=group
                    )
        account.books.flush()
    return [shop, models, young]


def recorded(account: Account, since: int, until: int, **labels: object) -> int:
    """Return the quota units in the books of the hours from *since* to *until*, of one model, key or group."""
    total = 0
    for (hour, model, spender), sums in account.books.sums.items():
        entry = spender._asdict() | {"model": model}
        if since <= hour < until and all(entry[name] == labels[name] for name in labels):
            total += sums.quota
    return total


def spending_lines(known: Iterable[Account]) -> Iterator[str]:
    """Write what Prometheus holds of *known* accounts, and of one whose usage is off."""
    for account in known:
        yield from _counters(account)
        yield from _months(account)
        yield from _budget(account.name)
        for key in account.keys:
            yield from _key(account, *key)
    yield from _budget("off")
    for moment in range(LIVE, END + 1, STEP):
        for replica in _replicas(moment):
            yield from _exporter(replica, moment)
    yield "# EOF\n"


def _replicas(moment: int) -> tuple[str, ...]:
    return ("a", "b") if moment >= SECOND else ("a",)


def _of(replica: str) -> dict[str, str]:
    return INSTALLATION | {"instance": f"{replica}:10144", "pod": f"exporter-{replica}"}


def _series(account: Account) -> dict[tuple[str, int], dict[str, str]]:
    """Return the labels of each series of usage, by model and key."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for model in ("gpt-5", "small"):
        if not account.keys:
            found[model, 0] = {"account": account.name, "model": model}
        for key_id, name, group in account.keys:
            found[model, key_id] = {
                "account": account.name,
                "model": model,
                "key_id": str(key_id),
                "key_name": name,
                "group": group,
            }
    return found


def _counters(account: Account) -> Iterator[str]:
    starts = {"a": (account.since, LIVE, RESTARTED), "b": (SECOND,)}
    for (model, key_id), labels in _series(account).items():
        for replica, begun in starts.items():
            for first, last in zip(begun, (*begun[1:], END + 1), strict=True):
                yield from _counter(account, labels | _of(replica), (model, key_id), (first, last))


def _counter(
    account: Account, labels: dict[str, str], of: tuple[str, int], span: tuple[int, int]
) -> Iterator[str]:
    """Write the counters from one start to the next: from 0, each hour's growth spread over it."""
    model, key_id = of
    growth = {
        hour: sums.quota
        for (hour, name, spender), sums in account.books.sums.items()
        if (name, spender.key_id) == (model, key_id)
    }
    quota = requests = 0.0
    for moment in range(span[0], span[1], STEP):
        yield line("cometapi_usage_quota_total", labels, quota, moment)
        yield line("cometapi_usage_tokens_total", labels, 2 * quota, moment)
        yield line("cometapi_usage_requests_total", labels, requests, moment)
        quota += growth.get(moment // HOUR * HOUR, 0) * STEP / HOUR
        requests += STEP / HOUR


def _months(account: Account) -> Iterator[str]:
    """Write the sum of the running month, which is read at the beginning of each hour."""
    for (model, key_id), labels in _series(account).items():
        total = 0
        growth = {
            hour: sums.quota
            for (hour, name, spender), sums in account.books.sums.items()
            if (name, spender.key_id) == (model, key_id)
        }
        for hour in range(BEGAN // HOUR * HOUR, END, HOUR):
            when = datetime.fromtimestamp(hour, UTC)
            if (when.day, when.hour) == (1, 0):
                total = 0
            if hour >= account.month_since:
                for moment in range(hour, hour + HOUR, STEP):
                    for replica in _replicas(moment):
                        yield line(
                            "cometapi_usage_month_quota", labels | _of(replica), total, moment
                        )
            total += growth.get(hour, 0)


def _budget(account: str) -> Iterator[str]:
    for moment in range(LIVE, END + 1, STEP):
        for replica in _replicas(moment):
            labels = {"account": account} | _of(replica)
            yield line("cometapi_account_monthly_budget_quota", labels, BUDGET, moment)


def _key(account: Account, key_id: int, name: str, group: str) -> Iterator[str]:
    labels = {
        "account": account.name,
        "key_id": str(key_id),
        "key_name": name,
        "group": group,
    }
    used = 0.0
    growth = {
        hour: recorded(account, hour, hour + HOUR, key_id=key_id) for hour in range(LIVE, END, HOUR)
    }
    for moment in range(LIVE, END + 1, STEP):
        gauges = {
            "used_quota": used,
            "remaining_quota": 25_000_000,
            "usable": 1,
            "status": 1,
            # Nobody has used the key in group "" since January.
            "last_used_timestamp_seconds": moment if group else at(1, 1),
            "monthly_budget_quota": BUDGET,
        }
        for replica in _replicas(moment):
            for end, value in gauges.items():
                yield line(f"cometapi_key_{end}", labels | _of(replica), value, moment)
        used += growth.get(moment // HOUR * HOUR, 0) * STEP / HOUR


def _exporter(replica: str, moment: int) -> Iterator[str]:
    where = _of(replica)
    yield line("cometapi_exporter_build_info", where, 1, moment)
    for account, units in UNITS_PER_USD.items():
        labels = {"account": account} | where
        yield line("cometapi_up", labels, 1, moment)
        yield line("cometapi_exporter_last_success_timestamp_seconds", labels, moment, moment)
        yield line("cometapi_exporter_refresh_interval_seconds", labels, 60, moment)
        yield line("cometapi_quota_units_per_usd", labels, units, moment)
    factor = 1.5 if moment >= RAISED else 1
    vip = {"account": "shop", "group": "vip"} | where
    yield line("cometapi_group_price_factor", vip, factor, moment)
