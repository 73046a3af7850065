"""Count what the exporter itself does: refreshes by outcome, their duration, the requests sent.

Knows prometheus_client and the closed set of reasons; nothing of HTTP, keys or settings. These are ordinary counters
of a process, unlike the gauges of `metrics`, which are made anew from each snapshot.
"""

import platform

from prometheus_client import (
    Counter,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.registry import Collector

from exporter.catalogue import Family
from exporter.errors import SUCCESS, Reason

OUTCOMES = (SUCCESS, *(reason.value for reason in Reason))
REFRESH_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

BUILD_INFO = Family(
    name="cometapi_exporter_build_info",
    kind="info",
    labels=("version", "python_version"),
    help="1, with the exporter's version and the Python it runs on.",
    example="cometapi_exporter_build_info",
)
REFRESHES = Family(
    name="cometapi_exporter_refreshes_total",
    kind="counter",
    labels=("account", "outcome"),
    help="Refreshes by how they ended: success, or one of the closed set of reasons.",
    example='increase(cometapi_exporter_refreshes_total{outcome!="success"}[15m]) > 0',
)
REFRESH_DURATION = Family(
    name="cometapi_exporter_refresh_duration_seconds",
    kind="histogram",
    labels=("account",),
    help="Seconds that a whole refresh took.",
    example="rate(cometapi_exporter_refresh_duration_seconds_sum[15m])"
    " / rate(cometapi_exporter_refresh_duration_seconds_count[15m])",
)
API_REQUESTS = Family(
    name="cometapi_exporter_api_requests_total",
    kind="counter",
    labels=("account", "endpoint", "code"),
    help="Requests sent to the API by path and HTTP status; code is none where no answer came.",
    example="sum by (code) (rate(cometapi_exporter_api_requests_total[5m]))",
)

TELEMETRY_FAMILIES = (BUILD_INFO, REFRESHES, REFRESH_DURATION, API_REQUESTS)


class Telemetry:
    """The exporter's own counters; *collectors* are for whoever has a registry."""

    def __init__(self, *, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        build = Info(BUILD_INFO.name.removesuffix("_info"), BUILD_INFO.help, registry=None)
        build.info({"version": version, "python_version": platform.python_version()})
        self._refreshes = Counter(REFRESHES.name, REFRESHES.help, REFRESHES.labels, registry=None)
        self._duration = Histogram(
            REFRESH_DURATION.name,
            REFRESH_DURATION.help,
            REFRESH_DURATION.labels,
            buckets=REFRESH_BUCKETS,
            registry=None,
        )
        self._requests = Counter(API_REQUESTS.name, API_REQUESTS.help, API_REQUESTS.labels, registry=None)
        self.collectors: tuple[Collector, ...] = (build, self._refreshes, self._duration, self._requests)

    def prepare(self, account: str) -> None:
        """Make every series of *account* that can be known beforehand, at zero, so that `rate` sees the first step."""
        for outcome in OUTCOMES:
            self._refreshes.labels(account, outcome)
        self._duration.labels(account)

    def refresh_ended(self, account: str, outcome: str, seconds: float) -> None:
        """Count one refresh with its *outcome*, a member of `OUTCOMES`."""
        self._refreshes.labels(account, outcome).inc()
        self._duration.labels(account).observe(seconds)

    def request_sent(self, account: str, endpoint: str, code: str) -> None:
        """Count one request to the API; *code* is the HTTP status, or `none`."""
        self._requests.labels(account, endpoint, code).inc()


def process_collectors() -> tuple[Collector, ...]:
    """Return the library's collectors of this process and its Python."""
    return (ProcessCollector(registry=None), PlatformCollector(registry=None))
