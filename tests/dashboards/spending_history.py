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
FRESH, AWAY, AWAY_UNTIL = at(5, 20, 12), at(5, 12), at(5, 20, 13)
"""When the exporter of cluster "fresh" starts; when that of cluster "away" starts, and responds no longer."""
UNITS_PER_USD = {"models": 1_000_000}
"""Of the other accounts 500,000."""
BUDGET = 60_000_000
KEYS = ((7, "web", "vip"), (8, "batch", ""))
OFF, IDLE = "off", "idle"
"""Accounts of cluster "home": the gateway keeps no records of the one, and the other spent nothing."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """When the exporters of a cluster start, by replica, and when all of them end."""

    cluster: str
    starts: dict[str, tuple[int, ...]]
    until: int = END

    def labels(self, replica: str) -> dict[str, str]:
        """Return the labels of one replica's target."""
        return {
            "job": "cometapi",
            "cluster": self.cluster,
            "namespace": "monitoring",
            "instance": f"{replica}:10144",
            "pod": f"exporter-{replica}",
        }

    def replicas(self, moment: int) -> tuple[str, ...]:
        """Return the replicas that respond at *moment*."""
        if moment > self.until:
            return ()
        return tuple(replica for replica, starts in self.starts.items() if starts[0] <= moment)

    def moments(self) -> range:
        """Return when Prometheus scrapes."""
        first = min(starts[0] for starts in self.starts.values())
        return range(first, self.until + 1, STEP)


HOME = Installation(cluster="home", starts={"a": (LIVE, RESTARTED), "b": (SECOND,)})
JUST_STARTED = Installation(cluster="fresh", starts={"a": (FRESH,)}, until=at(5, 21))
NOT_RESPONDING = Installation(cluster="away", starts={"a": (AWAY,)}, until=AWAY_UNTIL)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account with its books; *keys* are (id, name, group), none where usage is told by model alone.

    Its history is backfilled from *since*; None where there is no backfill.
    """

    name: str
    installation: Installation = HOME
    keys: tuple[tuple[int, str, str], ...] = ()
    since: int | None = BEGAN
    month_since: int = LIVE
    books: Books = field(default_factory=Books)


def spends(hour: int, share: int) -> int:
    """Return the quota units of an hour: more in office hours of weekdays."""
    when = datetime.fromtimestamp(hour, UTC)
    works = when.weekday() < 5 and 8 <= when.hour < 18
    return share * (200_000 if works else 20_000)


def accounts() -> list[Account]:
    """Return three accounts of cluster "home" with full books."""
    shop = Account(name="shop", keys=KEYS)
    models = Account(name="models", month_since=at(5, 1))
    young = Account(name="young", since=None, month_since=at(5, 1))
    return _booked([shop, models, young])


def accounts_elsewhere() -> list[Account]:
    """Return an account whose exporter has just started, and one whose exporter does not respond."""
    fresh = Account(
        name="shop", installation=JUST_STARTED, keys=KEYS, since=None, month_since=FRESH
    )
    away = Account(
        name="shop", installation=NOT_RESPONDING, keys=KEYS, since=None, month_since=AWAY
    )
    return _booked([fresh, away])


def _booked(accounts: list[Account]) -> list[Account]:
    for account in accounts:
        for hour in range(BEGAN, END, HOUR):
            for key_id, name, group in account.keys or ((0, "", "default"),):
                for share, model in enumerate(("gpt-5", "small"), start=1):
                    account.books.book(
                        hour, model, spends(hour, share), key_id=key_id, key_name=name, group=group
                    )
        account.books.flush()
    return accounts


def recorded(account: Account, since: int, until: int, **labels: object) -> int:
    """Return the quota units in the books of the hours from *since* to *until*, of one model, key or group."""
    total = 0
    for (hour, model, spender), sums in account.books.sums.items():
        entry = spender._asdict() | {"model": model}
        if since <= hour < until and all(entry[name] == labels[name] for name in labels):
            total += sums.quota
    return total


def spending_lines(known: Iterable[Account]) -> Iterator[str]:
    """Write what Prometheus holds of *known* accounts, of one whose usage is off, and of one that spent nothing."""
    names: dict[str, list[str]] = {"home": [OFF, IDLE]}
    installations = {HOME.cluster: HOME}
    for account in known:
        installations[account.installation.cluster] = account.installation
        names.setdefault(account.installation.cluster, []).append(account.name)
        yield from _counters(account)
        yield from _months(account)
        yield from _budget(account.name, account.installation)
        for key in account.keys:
            yield from _key(account, *key)
    yield from _budget(OFF, HOME)
    yield from _nothing_spent()
    for installation in installations.values():
        yield from _exporters(installation, names[installation.cluster])
    yield "# EOF\n"


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
    for (model, key_id), labels in _series(account).items():
        for replica, starts in account.installation.starts.items():
            begun = starts
            if replica == "a" and account.since is not None:
                begun = (account.since, *starts)
            target = account.installation.labels(replica)
            ends = (*begun[1:], account.installation.until + 1)
            for span in zip(begun, ends, strict=True):
                yield from _counter(account, labels | target, (model, key_id), span)


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
    installation = account.installation
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
                    for replica in installation.replicas(moment):
                        target = labels | installation.labels(replica)
                        yield line("cometapi_usage_month_quota", target, total, moment)
            total += growth.get(hour, 0)


def _nothing_spent() -> Iterator[str]:
    """Write a month in which an account used nothing."""
    for moment in HOME.moments():
        for replica in HOME.replicas(moment):
            labels = {"account": IDLE} | HOME.labels(replica)
            yield line("cometapi_usage_month_quota", labels, 0, moment)


def _budget(account: str, installation: Installation) -> Iterator[str]:
    for moment in installation.moments():
        for replica in installation.replicas(moment):
            labels = {"account": account} | installation.labels(replica)
            yield line("cometapi_account_monthly_budget_quota", labels, BUDGET, moment)


def _key(account: Account, key_id: int, name: str, group: str) -> Iterator[str]:
    labels = {
        "account": account.name,
        "key_id": str(key_id),
        "key_name": name,
        "group": group,
    }
    used = 0.0
    moments = account.installation.moments()
    growth = {
        hour: recorded(account, hour, hour + HOUR, key_id=key_id)
        for hour in range(moments[0], moments[-1], HOUR)
    }
    for moment in moments:
        gauges = {
            "used_quota": used,
            "remaining_quota": 25_000_000,
            "usable": 1,
            "status": 1,
            # Nobody has used the key in group "" since January.
            "last_used_timestamp_seconds": moment if group else at(1, 1),
            "monthly_budget_quota": BUDGET,
        }
        for replica in account.installation.replicas(moment):
            target = labels | account.installation.labels(replica)
            for end, value in gauges.items():
                yield line(f"cometapi_key_{end}", target, value, moment)
        used += growth.get(moment // HOUR * HOUR, 0) * STEP / HOUR


def _exporters(installation: Installation, accounts: Iterable[str]) -> Iterator[str]:
    for moment in installation.moments():
        for replica in installation.replicas(moment):
            yield from _exporter(installation.labels(replica), accounts, moment)


def _exporter(target: dict[str, str], accounts: Iterable[str], moment: int) -> Iterator[str]:
    yield line("up", target, 1, moment)
    yield line("cometapi_exporter_build_info", target, 1, moment)
    for account in accounts:
        labels = {"account": account} | target
        yield line("cometapi_up", labels, 1, moment)
        yield line("cometapi_exporter_last_success_timestamp_seconds", labels, moment, moment)
        yield line("cometapi_exporter_refresh_interval_seconds", labels, 60, moment)
        units = UNITS_PER_USD.get(account, 500_000)
        yield line("cometapi_quota_units_per_usd", labels, units, moment)
    factor = 1.5 if moment >= RAISED else 1
    vip = {"account": "shop", "group": "vip"} | target
    yield line("cometapi_group_price_factor", vip, factor, moment)
