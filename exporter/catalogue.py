"""List every metric family about keys and accounts: name, help, labels, when absent, and how a value is had.

Pure: no HTTP, no clock (the time is an argument), no client library. From these rows the exposition is made and the
documents are generated.
"""

from collections.abc import Callable
from dataclasses import dataclass

from exporter.model import ApiKey
from exporter.snapshot import AccountState

KEY_LABELS = ("account", "key_id", "key_name", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a reader must know of a metric family; *absent* says when a series is left out, "" for never."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    absent: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGauge:
    """A gauge with one series a key; *value* returns None where the series is absent."""

    family: Family
    value: Callable[[ApiKey, float], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountGauge:
    """A gauge with one series an account; *value* gets the state and whether its data is still served."""

    family: Family
    value: Callable[[AccountState, bool], float | None]


def _key_gauge(
    name: str,
    text: str,
    value: Callable[[ApiKey, float], float | None],
    *,
    absent: str = "",
    example: str = "",
) -> KeyGauge:
    family = Family(
        name=f"cometapi_key_{name}",
        kind="gauge",
        labels=KEY_LABELS,
        help=text,
        absent=absent,
        example=example,
    )
    return KeyGauge(family=family, value=value)


KEY_GAUGES = (
    _key_gauge(
        "remaining_quota",
        "Quota units the key has left; can be negative.",
        lambda key, _: key.remaining_quota,
        absent="for an unlimited key",
        example="bottomk(5, cometapi_key_remaining_quota"
        " / on (job, instance, account) group_left () cometapi_quota_units_per_usd)",
    ),
    _key_gauge(
        "used_quota",
        "Quota units the key has spent; can fall, after a refund.",
        lambda key, _: key.used_quota,
        example="clamp_min(delta(cometapi_key_used_quota[1h]), 0)",
    ),
    _key_gauge(
        "unlimited_quota",
        "1 where the gateway skips the quota check for the key, else 0.",
        lambda key, _: key.is_unlimited,
        example="cometapi_key_unlimited_quota == 1",
    ),
    _key_gauge(
        "expiry_timestamp_seconds",
        "Unix time at which the key expires.",
        lambda key, _: key.expires_at,
        absent="for a key that never expires",
        example="cometapi_key_expiry_timestamp_seconds - time() < 7 * 86400",
    ),
    _key_gauge(
        "status",
        "The API's status code: 1 enabled, 2 disabled, 3 expired, 4 exhausted.",
        lambda key, _: key.status,
        example="cometapi_key_status != 1",
    ),
    _key_gauge(
        "usable",
        "1 where the key would serve a request now: enabled, not past its expiry, quota left or unlimited; else 0.",
        lambda key, now: key.is_usable(now),
        example="cometapi_key_usable == 0 and cometapi_key_status == 1",
    ),
    _key_gauge(
        "created_timestamp_seconds",
        "Unix time at which the key was made.",
        lambda key, _: key.created_at,
        absent="where the API has 0",
        example="time() - cometapi_key_created_timestamp_seconds > 365 * 86400",
    ),
    _key_gauge(
        "last_used_timestamp_seconds",
        "Unix time at which the key was last used.",
        lambda key, _: key.last_used_at,
        absent="where the API has 0",
        example="time() - cometapi_key_last_used_timestamp_seconds > 90 * 86400",
    ),
)

COUNTDOWN = _key_gauge(
    "expires_in_seconds",
    "Seconds until the key expires, at the time of the scrape; negative after it.",
    lambda key, now: None if key.expires_at is None else key.expires_at - now,
    absent="for a key that never expires",
    example="cometapi_key_expires_in_seconds < 86400",
)

KEY_INFO = Family(
    name="cometapi_key_info",
    kind="info",
    labels=(*KEY_LABELS, "model_limits", "ip_allowlist", "cross_group_retry"),
    help="1, with what restricts the key: model_limits, ip_allowlist, cross_group_retry are true or false.",
    example='cometapi_key_info{ip_allowlist="false"}',
)

KEYS = Family(
    name="cometapi_keys",
    kind="gauge",
    labels=("account", "group", "status"),
    help="How many keys have this status by the API's word: enabled, disabled, expired, exhausted or unknown.",
    example="sum by (status) (cometapi_keys)",
)

KEYS_USABLE = Family(
    name="cometapi_keys_usable",
    kind="gauge",
    labels=("account", "group"),
    help="How many keys would serve a request now; enabled keys above this number only look alive.",
    example='sum(cometapi_keys{status="enabled"}) - sum(cometapi_keys_usable)',
)


def _account_gauge(
    name: str,
    text: str,
    value: Callable[[AccountState, bool], float | None],
    *,
    absent: str = "",
    example: str = "",
) -> AccountGauge:
    family = Family(name=name, kind="gauge", labels=("account",), help=text, absent=absent, example=example)
    return AccountGauge(family=family, value=value)


_NO_BALANCE = "where the gateway does not tell the account's balance, and past stale-after"

ACCOUNT_GAUGES = (
    _account_gauge(
        "cometapi_account_remaining_quota",
        "Quota units the account has left; unlimited keys spend from it.",
        lambda state, fresh: state.balance.remaining_quota if fresh and state.balance else None,
        absent=_NO_BALANCE,
        example="cometapi_account_remaining_quota / cometapi_quota_units_per_usd",
    ),
    _account_gauge(
        "cometapi_account_used_quota",
        "Quota units the account has spent.",
        lambda state, fresh: state.balance.used_quota if fresh and state.balance else None,
        absent=_NO_BALANCE,
        example="delta(cometapi_account_used_quota[1d])",
    ),
    _account_gauge(
        "cometapi_account_requests",
        "Requests the account has made to models, as the API counts them.",
        lambda state, fresh: state.balance.requests if fresh and state.balance else None,
        absent=_NO_BALANCE,
        example="delta(cometapi_account_requests[1h])",
    ),
    _account_gauge(
        "cometapi_quota_units_per_usd",
        "How many quota units are one US dollar, as configured.",
        lambda state, _: state.quota_units_per_usd,
        example="cometapi_account_used_quota / cometapi_quota_units_per_usd",
    ),
    _account_gauge(
        "cometapi_up",
        "1 if the last refresh could read the account's keys, else 0.",
        lambda state, _: float(state.failing is None) if state.first_refresh_ended else None,
        absent="until the first refresh has ended",
        example="cometapi_up == 0",
    ),
    _account_gauge(
        "cometapi_exporter_last_success_timestamp_seconds",
        "Unix time at which the served data was read.",
        lambda state, _: state.read_at,
        absent="until the first success",
        example="time() - cometapi_exporter_last_success_timestamp_seconds",
    ),
    _account_gauge(
        "cometapi_exporter_refresh_interval_seconds",
        "Seconds between the starts of two refreshes, as configured.",
        lambda state, _: state.interval_seconds,
        example="time() - cometapi_exporter_last_success_timestamp_seconds"
        " > 5 * cometapi_exporter_refresh_interval_seconds",
    ),
    _account_gauge(
        "cometapi_exporter_skipped_keys",
        "Keys of the last listing that could not be read: left out, or shown as they were last read.",
        lambda state, _: state.skipped,
        example="cometapi_exporter_skipped_keys > 0",
    ),
)

SNAPSHOT_FAMILIES = (
    *(gauge.family for gauge in KEY_GAUGES),
    KEY_INFO,
    KEYS,
    KEYS_USABLE,
    *(gauge.family for gauge in ACCOUNT_GAUGES),
    COUNTDOWN.family,
)
