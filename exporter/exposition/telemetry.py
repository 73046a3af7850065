"""Count what the exporter itself does: refreshes, failures by reason, durations, requests, reloads.

Knows the closed set of reasons and how lines are written; nothing of HTTP, keys or settings. Of
prometheus_client it takes the collectors of the process, not its counters: a line is written
several times faster from plain numbers.
"""

import math
import platform
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from exporter.errors import SUCCESS, Reason
from exporter.exposition.catalogue import EXPERIMENTAL, Family
from exporter.exposition.rendering import Form, label_set, lines, number

REFRESH_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


def _own(
    name: str, text: str, *labels: str, is_histogram: bool = False, stage: str = "stable"
) -> Family:
    name = f"cometapi_exporter_{name}"
    return Family(name=name, help=text, labels=labels, is_histogram=is_histogram, stage=stage)


BUILD_INFO = _own(
    "build_info", "Exporter version and Python version. Constant 1.", "version", "python_version"
)
REFRESHES = _own("refreshes_total", "Refreshes.", "account")
FAILURES = _own(
    "refresh_failures_total",
    "Refreshes that failed or did not settle, by reason.",
    "account",
    "reason",
)
REFRESH_DURATION = _own(
    "refresh_duration_seconds", "Duration of a whole refresh.", "account", is_histogram=True
)
API_REQUESTS = _own(
    "api_requests_total",
    "API requests by endpoint and HTTP status code (`none`: no response, `cancelled`: given up by the exporter).",
    *("account", "endpoint", "code"),
)
SHARDS = _own("shards", "Number of shards that share the accounts.", stage=EXPERIMENTAL)
SHARD_INDEX = _own("shard_index", "Which of the shards this is, from 0.", stage=EXPERIMENTAL)
ACCOUNTS = _own("accounts", "Number of accounts that this shard reads.", stage=EXPERIMENTAL)
RELOAD_SUCCESSFUL = _own(
    "config_last_reload_successful", "Whether the last reload succeeded.", stage=EXPERIMENTAL
)
RELOADED_AT = _own(
    "config_last_reload_success_timestamp_seconds",
    "Unix time of the last successful reload.",
    stage=EXPERIMENTAL,
)
DROPPED_LINES = _own(
    "log_lines_dropped_total", "Log lines that were not written in time.", stage=EXPERIMENTAL
)
CONFIGURED = (SHARDS, SHARD_INDEX, ACCOUNTS, RELOAD_SUCCESSFUL, RELOADED_AT)
TELEMETRY_FAMILIES = (
    BUILD_INFO,
    REFRESHES,
    FAILURES,
    REFRESH_DURATION,
    API_REQUESTS,
    *CONFIGURED,
    DROPPED_LINES,
)


class Telemetry:
    """The exporter's own metrics. *dropped_lines* counts lost log lines.

    Mutable are the values: by family, by account ("" for none), by what follows the family's name
    in the line.
    """

    def __init__(self, *, version: str, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        self._dropped_lines = dropped_lines
        self._values: dict[Family, dict[str, dict[str, float]]] = {
            family: {} if family.labels else {"": {"": 0}} for family in TELEMETRY_FAMILIES
        }
        self._values[BUILD_INFO][""] = {
            label_set(BUILD_INFO.labels, (version, platform.python_version())): 1
        }

    def text(self, form: Form, names: Collection[str] = ()) -> str:
        """Write all families, or those called *names*."""
        self._values[DROPPED_LINES][""] = {"": self._dropped_lines()}
        return "".join(
            form.comments(family)
            + "".join([lines(family, series.items()) for series in of_accounts.values()])
            for family, of_accounts in self._values.items()
            if not names or family.name in names
        )

    def prepare(self, account: str) -> None:
        """Create every series of *account* that is known beforehand, at zero, so that `rate` sees the first step."""
        self._count(REFRESHES, account, by=0)
        self._time(account, 0.0, by=0)
        for reason in Reason:
            self._count(FAILURES, account, reason, by=0)

    def forget(self, account: str) -> None:
        """Remove every series of *account*."""
        for of_accounts in self._values.values():
            of_accounts.pop(account, None)

    def refresh_ended(self, account: str, outcome: str, seconds: float) -> None:
        """Count one refresh with its *outcome*: success or a reason."""
        self._count(REFRESHES, account)
        self._time(account, seconds)
        if outcome != SUCCESS:
            self._count(FAILURES, account, outcome)

    def request_sent(self, account: str, endpoint: str, code: str) -> None:
        """Count one request to the API; *code* is the HTTP status, `none` or `cancelled`."""
        self._count(API_REQUESTS, account, endpoint, code)

    def configured(self, *, shards: int, index: int, accounts: int, at: float) -> None:
        """Note what was configured successfully at unix time *at*, at the start or by a reload."""
        for family, value in zip(CONFIGURED, (shards, index, accounts, 1, at), strict=True):
            self._values[family][""] = {"": value}

    def reload_failed(self) -> None:
        """Note that the last reload failed."""
        self._values[RELOAD_SUCCESSFUL][""] = {"": 0}

    def _count(self, family: Family, account: str, *more: str, by: float = 1) -> None:
        self._add(family, account, label_set(family.labels, (account, *more)), by)

    def _time(self, account: str, seconds: float, by: int = 1) -> None:
        """Count a duration in the histogram: in every bucket whose bound it does not exceed."""
        labels = label_set(("account",), (account,))
        for bound in (*REFRESH_BUCKETS, math.inf):
            bucket = label_set(("account", "le"), (account, number(bound)))
            self._add(REFRESH_DURATION, account, f"_bucket{bucket}", by * (seconds <= bound))
        self._add(REFRESH_DURATION, account, f"_count{labels}", by)
        self._add(REFRESH_DURATION, account, f"_sum{labels}", by * seconds)

    def _add(self, family: Family, account: str, series: str, by: float) -> None:
        values = self._values[family].setdefault(account, {})
        values[series] = values.get(series, 0) + by


def process_collectors() -> Sequence[Collector]:
    """Return the library's collectors of this process and its Python."""
    return (ProcessCollector(registry=None), PlatformCollector(registry=None))


def text_of(collectors: Iterable[Collector], form: Form, names: Collection[str] = ()) -> str:
    """Write all families of the library's *collectors*, or those called *names*."""
    written = []
    for metric in chain.from_iterable(collector.collect() for collector in collectors):
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        if not names or name in names:
            family = Family(name=name, help=metric.documentation)
            series = [
                (label_set(tuple(it.labels), tuple(it.labels.values())), it.value)
                for it in metric.samples
            ]
            written.append(form.comments(family) + lines(family, series))
    return "".join(written)
