"""Count what the exporter itself does: refreshes, failures by reason, durations, requests, reloads.

Knows prometheus_client and the closed set of reasons; nothing of HTTP, keys or settings. These are ordinary metrics of
a process, unlike those of `catalogue`, which are rendered from the snapshot.
"""

import platform
from collections.abc import Callable, Iterator

from prometheus_client import (
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.errors import SUCCESS, Reason
from exporter.exposition.catalogue import EXPERIMENTAL, Family

REFRESH_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


def _own(name: str, text: str, *labels: str, kind: str = "gauge", stage: str = "stable") -> Family:
    return Family(name=f"cometapi_exporter_{name}", help=text, labels=labels, kind=kind, stage=stage)


BUILD_INFO = _own("build_info", "Exporter version and Python version. Constant 1.", "version", "python_version")
REFRESHES = _own("refreshes_total", "Refreshes.", "account", kind="counter")
FAILURES = _own(
    "refresh_failures_total",
    "Refreshes that failed or did not settle, by reason.",
    *("account", "reason"),
    kind="counter",
)
REFRESH_DURATION = _own("refresh_duration_seconds", "Duration of a whole refresh.", "account", kind="histogram")
API_REQUESTS = _own(
    "api_requests_total",
    "API requests by endpoint and HTTP status code (`none`: no response, `cancelled`: given up by the exporter).",
    *("account", "endpoint", "code"),
    kind="counter",
)
SHARDS = _own("shards", "Number of shards that share the accounts.", stage=EXPERIMENTAL)
SHARD_INDEX = _own("shard_index", "Which of the shards this is, from 0.", stage=EXPERIMENTAL)
ACCOUNTS = _own("accounts", "Number of accounts that this shard reads.", stage=EXPERIMENTAL)
RELOAD_SUCCESSFUL = _own("config_last_reload_successful", "Whether the last reload succeeded.", stage=EXPERIMENTAL)
RELOADED_AT = _own(
    "config_last_reload_success_timestamp_seconds", "Unix time of the last successful reload.", stage=EXPERIMENTAL
)
DROPPED_LINES = _own(
    "log_lines_dropped_total", "Log lines that were not written in time.", kind="counter", stage=EXPERIMENTAL
)
CONFIGURED = (SHARDS, SHARD_INDEX, ACCOUNTS, RELOAD_SUCCESSFUL, RELOADED_AT)
TELEMETRY_FAMILIES = (BUILD_INFO, REFRESHES, FAILURES, REFRESH_DURATION, API_REQUESTS, *CONFIGURED, DROPPED_LINES)


def _gauge(family: Family) -> Gauge:
    return Gauge(family.name, family.help, family.labels, registry=None)


def _counter(family: Family) -> Counter:
    return Counter(family.name, family.help, family.labels, registry=None)


class _DroppedLines(Collector):
    """The counter that the log keeps itself."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(DROPPED_LINES.name, DROPPED_LINES.help, value=self._count())


class Telemetry:
    """The exporter's own metrics; *collectors* are for a registry. *dropped_lines* counts lost log lines."""

    def __init__(self, *, version: str, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        build = _gauge(BUILD_INFO)
        build.labels(version, platform.python_version()).set(1)
        self._refreshes, self._failures, self._requests = map(_counter, (REFRESHES, FAILURES, API_REQUESTS))
        its = REFRESH_DURATION
        self._duration = Histogram(its.name, its.help, its.labels, buckets=REFRESH_BUCKETS, registry=None)
        self._configured = {family.name: _gauge(family) for family in CONFIGURED}
        self.collectors: tuple[Collector, ...] = (
            build,
            self._refreshes,
            self._failures,
            self._duration,
            self._requests,
            *self._configured.values(),
            _DroppedLines(dropped_lines),
        )

    def prepare(self, account: str) -> None:
        """Create every series of *account* that is known beforehand, at zero, so that `rate` sees the first step."""
        self._refreshes.labels(account)
        self._duration.labels(account)
        for reason in Reason:
            self._failures.labels(account, reason.value)

    def forget(self, account: str) -> None:
        """Remove every series of *account*."""
        for metric in (self._refreshes, self._duration, self._failures, self._requests):
            metric.remove_by_labels({"account": account})

    def refresh_ended(self, account: str, outcome: str, seconds: float) -> None:
        """Count one refresh with its *outcome*: success or a reason."""
        self._refreshes.labels(account).inc()
        self._duration.labels(account).observe(seconds)
        if outcome != SUCCESS:
            self._failures.labels(account, outcome).inc()

    def request_sent(self, account: str, endpoint: str, code: str) -> None:
        """Count one request to the API; *code* is the HTTP status, `none` or `cancelled`."""
        self._requests.labels(account, endpoint, code).inc()

    def configured(self, *, shards: int, index: int, accounts: int, at: float) -> None:
        """Note what was configured successfully at unix time *at*, at the start or by a reload."""
        for gauge, value in zip(self._configured.values(), (shards, index, accounts, 1, at), strict=True):
            gauge.set(value)

    def reload_failed(self) -> None:
        """Note that the last reload failed."""
        self._configured[RELOAD_SUCCESSFUL.name].set(0)


def process_collectors() -> tuple[Collector, ...]:
    """Return the library's collectors of this process and its Python."""
    return (ProcessCollector(registry=None), PlatformCollector(registry=None))
