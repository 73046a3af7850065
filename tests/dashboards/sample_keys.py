"""Eight hours of an imagined past, in which everything happens that a dashboard must show.

Pure and deterministic: OpenMetrics text with timestamps, every family of the exporter, two replicas.
Written from the metrics' promises, without the exporter's code.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from promises import REASONS

END = 1_750_003_200
SPAN = 8 * 3600
STEP = 60
MINUTE, HOUR, DAY = 60, 3600, 86_400
RECENT = 30 * MINUTE

STATUSES = {1: "enabled", 2: "disabled", 3: "expired", 4: "exhausted"}
_BUCKETS = (0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKey:
    """A key: its figures at END, and what was otherwise until *changed_ago* seconds before it.

    Until then *used_before* more was used (a refund gave it back) and *granted* less was left.
    """

    id: int
    name: str
    group: str = "default"
    burn: int = 0
    used: int = 1_000_000
    remaining: int | None = 50_000_000
    expires_in: int | None = None
    status: int = 1
    status_before: int | None = None
    changed_ago: int = 0
    used_before: int = 0
    granted: int = 0
    created: int | None = END - 100 * DAY
    last_used: int | None = END - 5 * MINUTE

    def _is_before(self, at: int) -> bool:
        return at < END - self.changed_ago

    def status_at(self, at: int) -> int:
        before = self.status_before
        return before if before is not None and self._is_before(at) else self.status

    def used_at(self, at: int) -> int:
        refunded = self.used_before if self._is_before(at) else 0
        return self.used - self.burn * (END - at) + refunded

    def remaining_at(self, at: int) -> int | None:
        if self.remaining is None:
            return None
        not_yet = self.granted if self._is_before(at) else 0
        return self.remaining + self.burn * (END - at) - not_yet

    def is_usable_at(self, at: int) -> bool:
        left = self.remaining_at(at)
        in_time = self.expires_in is None or at < END + self.expires_in
        return self.status_at(at) == 1 and in_time and (left is None or left > 0)


MAIN = (
    SampleKey(id=1, name="prod-web", group="vip", burn=500, used=90_000_000, remaining=2_000_000_000),
    SampleKey(id=2, name="prod-batch", burn=3_000, used=400_000_000, remaining=150_000_000, expires_in=20 * DAY),
    SampleKey(id=3, name="no limit", group="", burn=100, used=30_000_000, remaining=None),
    SampleKey(id=4, name="renew me", expires_in=2 * DAY),
    SampleKey(id=5, name="only looks alive", expires_in=-HOUR),
    SampleKey(id=6, name="spent", status=4, status_before=1, changed_ago=90 * MINUTE, remaining=-120, granted=-5_000),
    SampleKey(id=7, name="expired", status=3, status_before=1, changed_ago=3 * HOUR, expires_in=-3 * HOUR),
    SampleKey(id=8, name="switched off", status=2, status_before=1, changed_ago=5 * HOUR),
    SampleKey(id=9, name="twin", group="a"),
    SampleKey(id=10, name="twin", group="a"),
    SampleKey(id=11, name='数据 "quoted" \\ back', group="默认"),
    SampleKey(id=12, name="", group=""),
    SampleKey(id=13, name="never used", used=0, created=None, last_used=None),
    SampleKey(id=14, name="refunded", used=1_000_000, used_before=600_000, granted=600_000, changed_ago=20 * MINUTE),
    SampleKey(id=15, name="topped up", burn=50, used=9_000_000, granted=40_000_000, changed_ago=4 * HOUR),
    SampleKey(id=16, name="switched on", status_before=2, changed_ago=6 * HOUR),
    SampleKey(id=17, name="next month", expires_in=40 * DAY),
    SampleKey(id=18, name="next year", expires_in=300 * DAY),
    SampleKey(id=19, name="tomorrow", expires_in=12 * HOUR),
    SampleKey(id=20, name="long dead", status=3, expires_in=-90 * DAY),
)
SOLO = (SampleKey(id=1, name="the only one", group="", burn=10),)
CROWD = tuple(
    SampleKey(id=number, name=f"worker-{number}", group=f"g{number % 15}", burn=number, expires_in=DAY + number)
    for number in range(1, 121)
)
UNITS_PER_USD = {"main": 500_000, "solo": 1_000_000, "crowd": 500_000}

Sample = tuple[str, dict[str, str], float]


def open_metrics() -> Iterator[str]:
    """Give the lines of the whole history: two accounts for eight hours, a crowd and a replica for less."""
    for at in range(END - SPAN, END + 1, STEP):
        for replica in _replicas(at):
            where = {"job": "cometapi", "instance": f"{replica}:10144", "pod": f"exporter-{replica}"}
            for name, labels, value in scrape(at):
                yield f"{name}{_written(labels | where)} {value} {at}\n"
    yield "# EOF\n"


def scrape(at: int) -> Iterator[Sample]:
    """Give what one exporter shows at one moment."""
    yield from _process(at)
    yield from _account("main", MAIN, at)
    yield from _account("solo", SOLO, at)
    if at > END - RECENT:
        yield from _account("crowd", CROWD, at)


def _replicas(at: int) -> tuple[str, ...]:
    return ("a", "b") if at > END - RECENT else ("a",)


def _account(account: str, keys: tuple[SampleKey, ...], at: int) -> Iterator[Sample]:
    for key in keys:
        yield from _key(account, key, at)
    yield from _counts(account, keys, at)
    yield from _refreshes(account, at)
    labels = {"account": account}
    burn = sum(key.burn for key in keys)
    yield "cometapi_account_remaining_quota", labels, 5_000_000_000 + burn * (END - at)
    yield "cometapi_account_used_quota", labels, 10_000_000_000 - burn * (END - at)
    yield "cometapi_account_requests_total", labels, 339 + (at - END + SPAN) // 10
    yield "cometapi_quota_units_per_usd", labels, UNITS_PER_USD[account]


def _key(account: str, key: SampleKey, at: int) -> Iterator[Sample]:
    labels = {"account": account, "key_id": str(key.id), "key_name": key.name, "group": key.group}
    expiry = None if key.expires_in is None else END + key.expires_in
    gauges = {
        "remaining_quota": key.remaining_at(at),
        "used_quota": key.used_at(at),
        "unlimited_quota": int(key.remaining is None),
        "expires_in_seconds": None if expiry is None else expiry - at,
        "expiry_timestamp_seconds": expiry,
        "status": key.status_at(at),
        "usable": int(key.is_usable_at(at)),
        "created_timestamp_seconds": key.created,
        "last_used_timestamp_seconds": key.last_used,
    }
    for name, value in gauges.items():
        if value is not None:
            yield f"cometapi_key_{name}", labels, value
    restrictions = {"model_limits": "false", "ip_allowlist": "true", "cross_group_retry": "false"}
    yield "cometapi_key_info", labels | restrictions, 1


def _counts(account: str, keys: tuple[SampleKey, ...], at: int) -> Iterator[Sample]:
    for group in sorted({key.group for key in keys}):
        labels = {"account": account, "group": group}
        mine = [key for key in keys if key.group == group]
        for status in (*STATUSES.values(), "unknown"):
            count = sum(STATUSES.get(key.status_at(at), "unknown") == status for key in mine)
            yield "cometapi_keys", labels | {"status": status}, count
        yield "cometapi_keys_usable", labels, sum(key.is_usable_at(at) for key in mine)


def _refreshes(account: str, at: int) -> Iterator[Sample]:
    labels = {"account": account}
    refreshes = (at - END + SPAN) // STEP + 1
    is_failing = account == "main" and END - 7 * HOUR <= at < END - 7 * HOUR + 10 * MINUTE
    yield "cometapi_up", labels, int(not is_failing)
    yield "cometapi_exporter_last_success_timestamp_seconds", labels, at - 20
    yield "cometapi_exporter_refresh_interval_seconds", labels, 60
    yield "cometapi_exporter_skipped_keys", labels, 0
    yield "cometapi_exporter_refreshes_total", labels, refreshes
    for reason in REASONS:
        yield "cometapi_exporter_refresh_failures_total", labels | {"reason": reason}, 0
    for endpoint in ("/api/token/", "/api/user/self"):
        yield "cometapi_exporter_api_requests_total", labels | {"endpoint": endpoint, "code": "200"}, refreshes
    yield from _duration(labels, refreshes)


def _duration(labels: dict[str, str], refreshes: int) -> Iterator[Sample]:
    name = "cometapi_exporter_refresh_duration_seconds"
    for bucket in _BUCKETS:
        yield f"{name}_bucket", labels | {"le": str(bucket)}, refreshes * (bucket >= 1)
    yield f"{name}_bucket", labels | {"le": "+Inf"}, refreshes
    yield f"{name}_sum", labels, refreshes * 0.8
    yield f"{name}_count", labels, refreshes


def _process(at: int) -> Iterator[Sample]:
    seconds = at - END + SPAN
    yield "process_resident_memory_bytes", {}, 60_000_000
    yield "process_cpu_seconds_total", {}, seconds * 0.01
    yield "python_info", {"version": "3.11.7"}, 1
    yield "cometapi_exporter_build_info", {"version": "0.1.0", "python_version": "3.11.7"}, 1


def _written(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
