"""Eight hours of sample history as OpenMetrics text with timestamps: every family of the exporter, two replicas.

Pure and deterministic. Written from the metrics' promises, without the exporter's code.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from dashboards.demo_keys import PastDemoKey
from dashboards.sample_keys import CROWD, DAY, END, HOUR, MAIN, MINUTE, SOLO, SampleKey
from promises import REASONS

SPAN = 8 * HOUR
STEP = 60
RECENT = 30 * MINUTE
# Then the counters of one account start again from less.
RESTARTED = END - 2 * HOUR
STATUSES = {1: "enabled", 2: "disabled", 3: "expired", 4: "exhausted"}
UNUSABLE = (
    "disabled",
    "expired",
    "exhausted",
    "unknown_status",
    "account_disabled",
    "account_exhausted",
    "group_unavailable",
)
_BUCKETS = (0.5, 1.0, 2.5, 10.0)
# Of the other accounts 500,000.
UNITS_PER_USD = {"solo": 1_000_000}
# Models by their share of what an account spends, tokens a unit and units a request.
MODELS = {
    "gpt-5": (0.6, 0.4, 900),
    "claude-opus": (0.3, 0.1, 2_500),
    "small-model": (0.1, 20.0, 60),
}

# Policies of the account main, and the keys that break them by name.
POLICIES = ("limited_quota", "max_lifetime", "max_unused", "model_limits", "name")
BROKEN_POLICIES = {
    "prod-web": ("max_lifetime", "model_limits"),
    "no limit": ("limited_quota",),
    "never used": ("max_unused",),
}

FAILING_PATH = "/api/data/self"
PATHS = (
    "/api/token/",
    "/api/user/self",
    "/api/status",
    "/api/user/self/groups",
    "/api/subscription/self",
    FAILING_PATH,
)

PastKey = SampleKey | PastDemoKey
Sample = tuple[str, dict[str, str], float]


def open_metrics(
    *more: tuple[str, tuple[PastKey, ...], int], also: Iterable[str] = ()
) -> Iterator[str]:
    """Give the lines of the whole history: two accounts for eight hours, a crowd and a replica for less.

    *more* are further accounts: name, keys and when their history begins. *also* are further lines.
    """
    accounts = (
        ("main", MAIN, END - SPAN),
        ("solo", SOLO, END - SPAN),
        ("crowd", CROWD, END - 5 * MINUTE),
        *more,
    )
    for at in range(END - SPAN, END + 1, STEP):
        shown = [(name, keys) for name, keys, began in accounts if at >= began]
        samples = list(scrape(shown, at))
        for replica in ("a", "b") if at > END - RECENT else ("a",):
            where = {
                "job": "cometapi",
                "cluster": "home",
                "namespace": "monitoring",
                "instance": f"{replica}:10144",
                "pod": f"exporter-{replica}",
            }
            for name, labels, value in [*samples, ("up", {}, 1)]:
                yield line(name, labels | where, value, at)
    yield from also
    yield "# EOF\n"


def line(name: str, labels: dict[str, str], value: float, at: int) -> str:
    """Write one sample."""
    return f"{name}{_written(labels)} {value} {at}\n"


def scrape(accounts: list[tuple[str, tuple[PastKey, ...]]], at: int) -> Iterator[Sample]:
    """Give what one exporter shows at one moment."""
    yield from _process(len(accounts), at)
    for account, keys in accounts:
        for key in keys:
            yield from _key(account, key, at)
        yield from _counts(account, keys, at)
        yield from _refreshes(account, at)
        yield from _money(account, keys, at)


def _money(account: str, keys: tuple[PastKey, ...], at: int) -> Iterator[Sample]:
    labels = {"account": account}
    used = _used_at(at, keys)
    left = 5_000_000_000 + _used_at(END, keys) - used
    yield "cometapi_account_remaining_quota", labels, left
    yield "cometapi_account_spendable_quota", labels, left + 500_000_000
    yield "cometapi_account_subscription_remaining_quota", labels, 500_000_000
    yield "cometapi_account_subscription_end_timestamp_seconds", labels, END + 20 * DAY
    yield "cometapi_account_subscription_reset_timestamp_seconds", labels, END + 6 * HOUR
    yield "cometapi_account_used_quota", labels, 10_000_000_000 + used
    yield "cometapi_account_requests_total", labels, 3_000_000 + (at - END + SPAN) // 10
    yield "cometapi_quota_units_per_usd", labels, UNITS_PER_USD.get(account, 500_000)
    for group in sorted({key.group for key in keys} - {""})[:5]:
        yield "cometapi_group_price_factor", labels | {"group": group}, 1 + len(group) % 3 / 2
    if account == "solo" and at >= RESTARTED:
        # The counters are 0 when the exporter starts.
        yield from _usage(labels, used - _used_at(RESTARTED, keys))
    elif account != "demo":
        yield from _usage(labels, used)


def _used_at(at: int, keys: tuple[PastKey, ...]) -> int:
    return sum(key.used_at(at) for key in keys if key.name != "refunded")


def _usage(labels: dict[str, str], used: int) -> Iterator[Sample]:
    for model, (share, tokens_a_unit, units_a_request) in MODELS.items():
        of_model, units = labels | {"model": model}, int(used * share)
        yield "cometapi_usage_quota_total", of_model, units
        yield "cometapi_usage_tokens_total", of_model, int(units * tokens_a_unit)
        yield "cometapi_usage_requests_total", of_model, units // units_a_request


def is_usable(key: PastKey, at: int) -> bool:
    """Say whether the key can serve requests."""
    left = key.remaining_at(at)
    in_time = key.expires_in is None or at < END + key.expires_in
    return key.status_at(at) == 1 and in_time and (left is None or left > 0)


def _key(account: str, key: PastKey, at: int) -> Iterator[Sample]:
    labels = {"account": account, "key_id": str(key.id), "key_name": key.name, "group": key.group}
    expiry = None if key.expires_in is None else END + key.expires_in
    left = key.remaining_at(at)
    gauges = {
        "remaining_quota": left,
        "used_quota": key.used_at(at),
        "unlimited_quota": int(left is None),
        "expires_in_seconds": None if expiry is None else expiry - at,
        "expiry_timestamp_seconds": expiry,
        "status": key.status_at(at),
        "usable": int(is_usable(key, at)),
        "created_timestamp_seconds": key.created,
        "last_used_timestamp_seconds": key.last_used_at(at),
        "daily_budget_quota": 500_000_000 if key.id == 2 else None,
        "expiry_warning_threshold_seconds": 30 * DAY if key.name == "prod-batch" else None,
        "low_quota_threshold": 100_000_000 if key.name == "next month" else None,
    }
    for name, value in gauges.items():
        if value is not None:
            yield f"cometapi_key_{name}", labels, value
    restrictions = {"model_limits": "false", "ip_allowlist": "true", "cross_group_retry": "false"}
    yield "cometapi_key_info", labels | restrictions, 1
    broken = BROKEN_POLICIES.get(key.name, ()) if account == "main" else ()
    for policy in broken:
        yield "cometapi_key_policy_violation", labels | {"policy": policy}, 1
    if key.name == "next year":
        yield "ALERTS", labels | {"alertname": "CometAPIKeyProbablyDry", "alertstate": "firing"}, 1
    if key.id == 2 or account == "demo":
        yield from _usage(labels, key.used_at(at))


def _counts(account: str, keys: tuple[PastKey, ...], at: int) -> Iterator[Sample]:
    for group in sorted({key.group for key in keys}):
        labels = {"account": account, "group": group}
        mine = [key for key in keys if key.group == group]
        for status in (*STATUSES.values(), "unknown"):
            count = sum(STATUSES.get(key.status_at(at), "unknown") == status for key in mine)
            yield "cometapi_keys", labels | {"status": status}, count
        yield "cometapi_keys_usable", labels, sum(is_usable(key, at) for key in mine)
        reasons = [_reason(key, at) for key in mine]
        for reason in UNUSABLE:
            yield "cometapi_keys_unusable", labels | {"reason": reason}, reasons.count(reason)
    if account == "main":
        every = [policy for policies in BROKEN_POLICIES.values() for policy in policies]
        yield from policy_counts({"account": account}, every)


def policy_counts(labels: dict[str, str], broken: Iterable[str]) -> Iterator[Sample]:
    """Give how many keys break each policy that is set, of those that are *broken* once a key."""
    counts = Counter(broken)
    for policy in POLICIES:
        yield "cometapi_keys_violating_policy", labels | {"policy": policy}, counts[policy]


def _reason(key: PastKey, at: int) -> str | None:
    if is_usable(key, at):
        return None
    status = STATUSES.get(key.status_at(at), "unknown_status")
    if status != "enabled":
        return status
    return "expired" if key.expires_in is not None and at >= END + key.expires_in else "exhausted"


def _refreshes(account: str, at: int) -> Iterator[Sample]:
    labels = {"account": account}
    refreshes = (at - END + SPAN) // STEP + 1
    is_failing = account == "main" and END - 7 * HOUR <= at < END - 7 * HOUR + 10 * MINUTE
    yield "cometapi_up", labels, int(not is_failing)
    for path in PATHS:
        yield (
            "cometapi_exporter_api_up",
            labels | {"path": path},
            int(account != "main" or path != FAILING_PATH),
        )
    yield "cometapi_exporter_last_success_timestamp_seconds", labels, at - 20
    yield "cometapi_exporter_refresh_interval_seconds", labels, 60
    yield "cometapi_exporter_skipped_keys", labels, 0
    yield "cometapi_exporter_excluded_keys", labels, 0
    yield "cometapi_exporter_usage_folded_series", labels, 0
    yield "cometapi_gateway_clock_skew_seconds", labels, 0.4
    yield "cometapi_exporter_refreshes_total", labels, refreshes
    changed = int(account == "main" and at >= END - 5 * HOUR)
    yield "cometapi_key_changes_total", labels | {"change": "expiry_removed"}, changed
    yield "cometapi_key_changes_total", labels | {"change": "created"}, 0
    for reason in REASONS:
        yield "cometapi_exporter_refresh_failures_total", labels | {"reason": reason}, 0
    for path in ("/api/token/", "/api/user/self"):
        yield (
            "cometapi_exporter_api_requests_total",
            labels | {"path": path, "code": "200"},
            refreshes,
        )
    yield from _duration(labels, refreshes)


def _duration(labels: dict[str, str], refreshes: int) -> Iterator[Sample]:
    name = "cometapi_exporter_refresh_duration_seconds"
    for bucket in _BUCKETS:
        yield f"{name}_bucket", labels | {"le": str(bucket)}, refreshes * (bucket >= 1)
    yield f"{name}_bucket", labels | {"le": "+Inf"}, refreshes
    yield f"{name}_sum", labels, refreshes * 0.8
    yield f"{name}_count", labels, refreshes


def _process(accounts: int, at: int) -> Iterator[Sample]:
    seconds = at - END + SPAN
    yield "process_resident_memory_bytes", {}, 60_000_000
    yield "process_cpu_seconds_total", {}, seconds * 0.01
    yield "python_info", {"version": "3.11.7"}, 1
    yield "cometapi_exporter_build_info", {"version": "0.1.0", "python_version": "3.11.7"}, 1
    yield "cometapi_exporter_shards", {}, 1
    yield "cometapi_exporter_shard_index", {}, 0
    yield "cometapi_exporter_accounts", {}, accounts
    yield "cometapi_exporter_config_last_reload_successful", {}, 1
    yield "cometapi_exporter_config_last_reload_success_timestamp_seconds", {}, END - 2 * HOUR
    yield "cometapi_exporter_log_lines_dropped_total", {}, 0


def _written(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
