"""Count what the exporter itself does: refreshes, failures by reason, durations, requests, reloads.

Knows the closed set of reasons; nothing of HTTP, keys or settings. The metrics are those of the
client library, in a registry of their own, and the library writes them.
"""

import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.registry import Collector

from exporter.errors import SUCCESS, Reason
from exporter.exposition.catalogue import EXPERIMENTAL, Family
from exporter.exposition.rendering import Format

# From one page of keys to 100,000 keys at 50 requests a minute.
REFRESH_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


def _own(
    name: str, text: str, *labels: str, is_histogram: bool = False, stage: str = "stable"
) -> Family:
    name = f"cometapi_exporter_{name}"
    return Family(name=name, help=text, labels=labels, is_histogram=is_histogram, stage=stage)


BUILD_INFO = _own(
    "build_info", "Exporter version and Python version. Constant 1.", "version", "python_version"
)
REFRESHES = _own("refreshes_total", "Number of refreshes, successful or failed.", "account")
FAILURES = _own(
    "refresh_failures_total",
    "Refreshes that failed or were inconsistent, by reason.",
    "account",
    "reason",
)
REFRESH_DURATION = _own(
    "refresh_duration_seconds", "Duration of a whole refresh.", "account", is_histogram=True
)
API_REQUESTS = _own(
    "api_requests_total",
    "API requests by path and HTTP status code (`none`: no response, `cancelled`: given up by the"
    " exporter).",
    *("account", "path", "code"),
)
SHARDS = _own("shards", "Number of shards that share the accounts.", stage=EXPERIMENTAL)
SHARD_INDEX = _own("shard_index", "Index of this shard, starting at 0.", stage=EXPERIMENTAL)
ACCOUNTS = _own("accounts", "Number of accounts that this shard reads.", stage=EXPERIMENTAL)
RELOAD_SUCCESSFUL = _own(
    "config_last_reload_successful",
    "Whether the last reload of the configuration succeeded.",
    stage=EXPERIMENTAL,
)
RELOADED_AT = _own(
    "config_last_reload_success_timestamp_seconds",
    "Unix time of the last successful reload.",
    stage=EXPERIMENTAL,
)
DROPPED_LINES = _own(
    "log_lines_dropped_total", "Log lines that were not written in time.", stage=EXPERIMENTAL
)
TELEMETRY_FAMILIES = (
    BUILD_INFO,
    REFRESHES,
    FAILURES,
    REFRESH_DURATION,
    API_REQUESTS,
    SHARDS,
    SHARD_INDEX,
    ACCOUNTS,
    RELOAD_SUCCESSFUL,
    RELOADED_AT,
    DROPPED_LINES,
)


class Telemetry:
    """The exporter's own metrics. *dropped_lines* returns how many log lines were lost so far.

    All methods may be called from any thread.
    """

    def __init__(self, *, version: str, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        self._registry = CollectorRegistry()
        self._gauge(BUILD_INFO).labels(version, platform.python_version()).set(1)
        self._refreshes = self._counter(REFRESHES)
        self._failures = self._counter(FAILURES)
        self._durations = Histogram(
            REFRESH_DURATION.name,
            REFRESH_DURATION.help,
            REFRESH_DURATION.labels,
            buckets=REFRESH_BUCKETS,
            registry=self._registry,
        )
        self._api_requests = self._counter(API_REQUESTS)
        self._shards = self._gauge(SHARDS)
        self._shard_index = self._gauge(SHARD_INDEX)
        self._accounts = self._gauge(ACCOUNTS)
        self._reload_successful = self._gauge(RELOAD_SUCCESSFUL)
        self._reloaded_at = self._gauge(RELOADED_AT)
        self._dropped_lines = _DroppedLines(dropped_lines)
        self._changes = 0
        self._written: dict[Format, tuple[int, bytes]] = {}

    def _counter(self, family: Family) -> Counter:
        return Counter(family.name, family.help, family.labels, registry=self._registry)

    def _gauge(self, family: Family) -> Gauge:
        return Gauge(family.name, family.help, family.labels, registry=self._registry)

    def text(self, format_: Format, names: Collection[str] = ()) -> bytes:
        """Write all families, or those called *names*."""
        if names:
            return text_of([self._registry, self._dropped_lines], format_, names)
        # Writing takes 0.3 ms an account, as much as the rest of a scrape of 1,000 keys. So the
        # text is kept until something is counted. The number of changes is read before the text is
        # written: what another thread counts meanwhile makes the next scrape write again.
        changes = self._changes
        written = self._written.get(format_)
        if written is None or written[0] != changes:
            written = (changes, text_of([self._registry], format_))
            self._written[format_] = written
        return written[1] + text_of([self._dropped_lines], format_)

    def prepare(self, account: str) -> None:
        """Create the series of *account* that are known beforehand: `rate` misses no first step."""
        self._refreshes.labels(account)
        self._durations.labels(account)
        for reason in Reason:
            self._failures.labels(account, reason)
        self._changes += 1

    def forget(self, account: str) -> None:
        """Remove every series of *account*."""
        for metric in (self._refreshes, self._failures, self._durations, self._api_requests):
            metric.remove_by_labels({"account": account})
        self._changes += 1

    def refresh_ended(self, account: str, outcome: str, seconds: float) -> None:
        """Count one refresh with its *outcome*: success or a reason."""
        self._refreshes.labels(account).inc()
        self._durations.labels(account).observe(seconds)
        if outcome != SUCCESS:
            self._failures.labels(account, outcome).inc()
        self._changes += 1

    def request_sent(self, account: str, path: str, code: str) -> None:
        """Count one request to the API; *code* is the HTTP status, `none` or `cancelled`."""
        self._api_requests.labels(account, path, code).inc()
        self._changes += 1

    def configured(self, *, shards: int, index: int, accounts: int, at: float) -> None:
        """Note what was configured successfully at unix time *at*, at the start or by a reload."""
        self._shards.set(shards)
        self._shard_index.set(index)
        self._accounts.set(accounts)
        self._reload_successful.set(1)
        self._reloaded_at.set(at)
        self._changes += 1

    def reload_failed(self) -> None:
        """Note that the last reload failed."""
        self._reload_successful.set(0)
        self._changes += 1


class _DroppedLines(Collector):
    """The counter of dropped log lines, which are counted where they are lost."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(DROPPED_LINES.name, DROPPED_LINES.help, value=self._count())


def process_collectors() -> Sequence[Collector]:
    """Return the library's collectors of this process and its Python."""
    return (ProcessCollector(registry=None), PlatformCollector(registry=None))


def text_of(collectors: Iterable[Collector], format_: Format, names: Collection[str] = ()) -> bytes:
    """Write all families of *collectors*, or those called *names*, without the format's end."""
    chosen = _Chosen(collectors, names)
    if format_ is Format.TEXT:
        return write_text(chosen)
    written: bytes = write_openmetrics(chosen)  # type: ignore[no-untyped-call]
    return written.removesuffix(format_.end.encode())


class _Chosen(Collector):
    """The families of *collectors* that are called *names*, or all, without `_created` series."""

    def __init__(self, collectors: Iterable[Collector], names: Collection[str]) -> None:
        self._collectors = collectors
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for metric in collector.collect():
                # The library leaves `_total` out of the names of counters.
                name = f"{metric.name}_total" if metric.type == "counter" else metric.name
                if not self._names or name in self._names:
                    # Prometheus does not need the times at which series were created. The library
                    # has a switch for them, but it holds for the whole process.
                    samples = metric.samples
                    metric.samples = [it for it in samples if not it.name.endswith("_created")]
                    yield metric
