"""Make the metric families from a snapshot.

Pure: no HTTP, no clock (the time is an argument), no settings; knows prometheus_client's family objects and nothing
of registries or servers. What the families are is for `catalogue` to say. They are made anew for each exposition, so
a deleted key leaves nothing behind.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from exporter.catalogue import (
    ACCOUNT_GAUGES,
    COUNTDOWN,
    KEY_GAUGES,
    KEY_INFO,
    KEY_LABELS,
    KEYS,
    KEYS_USABLE,
    SNAPSHOT_FAMILIES,
    AccountGauge,
    Family,
    KeyGauge,
)
from exporter.model import STATUS_LABELS, ApiKey
from exporter.snapshot import AccountState, Snapshot


def families(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Make every family that changes only with a refresh's end, an expiry or a withdrawal, as of unix time *now*."""
    fresh = [state for state in snapshot.accounts.values() if state.serves_data]
    labelled = [(key_labels(state, key), key) for state in fresh for key in state.keys]
    for gauge in KEY_GAUGES:
        yield _per_key(gauge, labelled, now)
    yield key_info(labelled)
    yield key_counts(fresh)
    yield usable_counts(fresh, now)
    for account_gauge in ACCOUNT_GAUGES:
        yield per_account(account_gauge, snapshot.accounts)


def countdown(snapshot: Snapshot, now: float) -> Metric:
    """Make the one family that changes with every second: the seconds until each key's expiry."""
    fresh = (state for state in snapshot.accounts.values() if state.serves_data)
    expiring = ((key_labels(state, key), key) for state in fresh for key in state.keys if key.expires_at is not None)
    return _per_key(COUNTDOWN, expiring, now)


def describe() -> Iterator[Metric]:
    """Make every family without samples, so that a registry knows the names and asks for nothing."""
    return (empty(family) for family in SNAPSHOT_FAMILIES)


def empty(family: Family) -> GaugeMetricFamily | InfoMetricFamily:
    """Make *family* without samples."""
    if family.kind == "info":
        return InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=KEY_LABELS)
    return GaugeMetricFamily(family.name, family.help, labels=family.labels)


def key_labels(state: AccountState, key: ApiKey) -> tuple[str, str, str, str]:
    """Return the values of `KEY_LABELS`."""
    return (state.name, str(key.id), key.name, key.group)


def next_change(snapshot: Snapshot, now: float) -> float | None:
    """Return the first unix time after *now* at which `families` gives another result without a new refresh.

    That is an expiry: a key stops being usable after its second; None where nothing is ahead.
    """
    moments: list[float] = []
    for state in snapshot.accounts.values():
        if state.serves_data:
            moments.extend(key.expires_at + 1 for key in state.keys if key.expires_at is not None)
    return min((moment for moment in moments if moment > now), default=None)


Labelled = Iterable[tuple[tuple[str, str, str, str], ApiKey]]


def _per_key(gauge: KeyGauge, labelled: Labelled, now: float) -> Metric:
    family = empty(gauge.family)
    for labels, key in labelled:
        value = gauge.value(key, now)
        if value is not None:
            family.add_metric(labels, float(value))  # type: ignore[arg-type]
    return family


def key_info(labelled: Labelled) -> Metric:
    """Make the family of facts that restrict keys."""
    family = empty(KEY_INFO)
    for labels, key in labelled:
        facts = {
            "model_limits": _word(key.has_model_limits),
            "ip_allowlist": _word(key.has_ip_allowlist),
            "cross_group_retry": _word(key.has_cross_group_retry),
        }
        family.add_metric(labels, facts)  # type: ignore[arg-type]
    return family


def key_counts(states: Iterable[AccountState]) -> Metric:
    """Make the family that counts keys by group and status, zeros included."""
    family = empty(KEYS)
    for state in states:
        counts = Counter((key.group, key.status_word) for key in state.keys)
        for group in sorted(state.groups):
            for status in STATUS_LABELS:
                family.add_metric((state.name, group, status), counts[group, status])  # type: ignore[arg-type]
    return family


def usable_counts(states: Iterable[AccountState], now: float) -> Metric:
    """Make the family that counts the keys that would serve a request at unix time *now*."""
    family = empty(KEYS_USABLE)
    for state in states:
        counts = Counter(key.group for key in state.keys if key.is_usable(now))
        for group in sorted(state.groups):
            family.add_metric((state.name, group), counts[group])  # type: ignore[arg-type]
    return family


def per_account(gauge: AccountGauge, accounts: Mapping[str, AccountState]) -> Metric:
    """Make the family of *gauge* with a series for each account that has a value."""
    family = empty(gauge.family)
    for state in accounts.values():
        value = gauge.value(state, state.serves_data)
        if value is not None:
            family.add_metric((state.name,), float(value))  # type: ignore[arg-type]
    return family


def _word(fact: bool) -> str:  # noqa: FBT001 - the fact is all there is to say
    return "true" if fact else "false"
