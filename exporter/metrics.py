"""Make the metric families from a snapshot.

Pure: no HTTP, no clock (the time is an argument), no settings; knows prometheus_client's family objects and nothing
of registries or servers. What the families are is for `catalogue` to say. They are created again for each exposition,
so a deleted key leaves nothing behind.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from exporter.catalogue import ACCOUNT_FAMILIES, COUNTDOWN, KEY_FAMILIES, SNAPSHOT_FAMILIES, Family, Tally
from exporter.model import ApiKey
from exporter.snapshot import AccountState, Snapshot


def families(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Make every family that changes only with a refresh's end, an expiry or a withdrawal, as of unix time *now*."""
    for family in KEY_FAMILIES:
        yield per_key(family, snapshot, now)
    for family in ACCOUNT_FAMILIES:
        yield per_account(family, snapshot, now)


def countdown(snapshot: Snapshot, now: float) -> Metric:
    """Make the one family that changes with every second: the seconds until each key's expiry."""
    return per_key(COUNTDOWN, snapshot, now)


def describe() -> Iterator[Metric]:
    """Make every family without samples, so that a registry knows the names and asks for nothing."""
    return (empty(family) for family in SNAPSHOT_FAMILIES)


def empty(family: Family) -> Metric:
    """Make *family* without samples."""
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)


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


def per_key(family: Family, snapshot: Snapshot, now: float) -> Metric:
    """Make *family*, which has a series for each key, as of unix time *now*."""
    metric = empty(family)
    for state in snapshot.accounts.values():
        if state.serves_data:
            add_keys(metric, family, state, state.keys, now)
    return metric


def add_keys(metric: Metric, family: Family, state: AccountState, keys: Iterable[ApiKey], now: float) -> None:
    """Add the series of *keys* to *metric*."""
    for key in keys:
        value = family.of_key(state, key, now) if family.of_key else None
        if value is not None:
            labels = (*key_labels(state, key), *(family.more(key) if family.more else ()))
            metric.add_sample(family.name, dict(zip(family.labels, labels, strict=True)), float(value))


def per_account(family: Family, snapshot: Snapshot, now: float) -> Metric:
    """Make *family*, which has series for each account, as of unix time *now*."""
    metric = empty(family)
    for state in snapshot.accounts.values():
        if family.of_account and (family.always or state.serves_data):
            for labels, value in family.of_account(state, tally(state, now)):
                if value is not None:
                    named = dict(zip(family.labels, (state.name, *labels), strict=False))
                    metric.add_sample(family.name, named, float(value))
    return metric


def tally(state: AccountState, now: float) -> Tally:
    """Count the keys of an account by group, status and obstacle."""
    return Counter((key.group, key.status_word, state.obstacle(key, now)) for key in state.keys)
