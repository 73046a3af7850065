"""The exposition as the client library makes it of the catalogue's rows: what every byte is compared with.

Slow and simple: a registry collects all families of a snapshot again each time.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest as library_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as library_openmetrics
from prometheus_client.registry import Collector

from exporter.exposition.catalogue import SNAPSHOT_FAMILIES, Family, Tally
from exporter.exposition.rendering import Format
from exporter.exposition.telemetry import REFRESH_BUCKETS, TELEMETRY_FAMILIES
from exporter.snapshot import AccountState, Snapshot


class SnapshotCollector(Collector):
    """The families of the current snapshot at this time."""

    def __init__(
        self,
        current: Callable[[], Snapshot],
        clock: Callable[[], float],
        names: Collection[str] = (),
    ) -> None:
        self._current = current
        self._clock = clock
        self._families = [
            family for family in SNAPSHOT_FAMILIES if not names or family.name in names
        ]

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot, now = self._current(), self._clock()
        return (metric_of(family, snapshot, now) for family in self._families)


def metric_of(family: Family, snapshot: Snapshot, now: float) -> Metric:
    """Make the library's metric of *family* with every series of *snapshot*."""
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for state in snapshot.accounts.values():
        for labels, value in _series(family, state, now):
            if value is not None:
                named = dict(zip(family.labels, (state.name, *labels), strict=False))
                metric.add_sample(family.name, named, float(value))
    return metric


def _series(
    family: Family, state: AccountState, now: float
) -> Iterator[tuple[tuple[str, ...], float | None]]:
    if family.of_key and not state.counts_only:
        for key in state.keys:
            more = family.more(key) if family.more else ()
            yield (str(key.id), key.name, key.group, *more), family.of_key(state, key, now)
    if family.several_of_key and not state.counts_only:
        for key in state.keys:
            for last in family.several_of_key(state, key, now):
                yield (str(key.id), key.name, key.group, last), 1
    if family.of_account:
        tally = Tally()
        if state.serves_data:
            tally.add(state, state.keys, now)
        yield from family.of_account(state, tally)


class Registry(CollectorRegistry):
    """The library's registry without the times at which series were created."""

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [it for it in metric.samples if not it.name.endswith("_created")]
            yield metric


def telemetry_metrics(registry: CollectorRegistry) -> dict[str, Any]:
    """Register the library's metric objects of the exporter's own families; return them by name."""
    kinds = {
        "gauge": Gauge,
        "counter": Counter,
        "histogram": partial(Histogram, buckets=REFRESH_BUCKETS),
    }
    return {
        family.name: kinds[family.kind](family.name, family.help, family.labels, registry=registry)
        for family in TELEMETRY_FAMILIES
    }


def library_bytes(
    format_: Format,
    snapshot: Snapshot,
    now: float,
    *,
    own: Callable[[CollectorRegistry], object] = lambda _: None,
    names: Collection[str] = (),
) -> bytes:
    """Encode *snapshot* (or its families called *names*), and what *own* registers, as the library does."""
    registry = Registry()
    registry.register(SnapshotCollector(lambda: snapshot, lambda: now, names))
    own(registry)
    return library_text(registry) if format_ is Format.TEXT else library_openmetrics(registry)
