"""List every metric family about keys and accounts, one row each, and how its values are read.

Pure: no HTTP, no clock (the time is an argument), no client library. The exposition is rendered
from these rows; `docs/families.toml` adds what only the reference says.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter.model import STATUS_LABELS, ApiKey, UnusableReason
from exporter.snapshot import AccountState

KEY_LABELS = ("account", "key_id", "key_name", "group")
EXPERIMENTAL = "experimental"

Tally = Counter[tuple[str, str, str | None]]
"""How many keys of an account have this group and this status or reason: by group, "status" or "reason", word."""
Value = float | None
"""None where there is no series."""
Series = Iterable[tuple[tuple[str, ...], Value]]
"""Label values after `account`, in the order of the family's labels (the last ones may be left out), and the value."""
OfKey = Callable[[AccountState, ApiKey, float], Value]
OfAccount = Callable[[AccountState, Tally], Series]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One metric family, whatever its series are about.

    *of_key* reads the value of a key at a unix time, *more* its label values beyond `KEY_LABELS`;
    *of_account* reads all series of an account. A family without either is the exporter's own.
    *always*: stays past stale-after.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ("account",)
    is_histogram: bool = False
    stage: str = "stable"
    of_key: OfKey | None = None
    more: Callable[[ApiKey], tuple[str, ...]] | None = None
    of_account: OfAccount | None = None
    always: bool = False

    @property
    def kind(self) -> str:
        """The type, which the name says: those of counters end in `_total`."""
        return (
            "histogram"
            if self.is_histogram
            else "counter"
            if self.name.endswith("_total")
            else "gauge"
        )


def _key(name: str, text: str, of_key: OfKey) -> Family:
    return Family(name=f"cometapi_key_{name}", help=text, labels=KEY_LABELS, of_key=of_key)


def _group(
    name: str, text: str, of_account: OfAccount, *labels: str, always: bool = False
) -> Family:
    labels = ("account", *labels)
    return Family(
        name=f"cometapi_{name}", help=text, labels=labels, of_account=of_account, always=always
    )


def _account(name: str, text: str, path: str, *, always: bool = False) -> Family:
    """Make a family of one series an account, whose value *path* leads to; None anywhere on the way is no series."""

    def value(state: AccountState, _: Tally) -> Series:
        found: Any = state
        for step in path.split("."):
            found = None if found is None else getattr(found, step)
        return [((), found)]

    return _group(name, text, value, always=always)


def _new(*families: Family) -> tuple[Family, ...]:
    """Mark *families* as experimental."""
    return tuple(replace(family, stage=EXPERIMENTAL) for family in families)


def surroundings(state: AccountState) -> object:
    """Return what the series of keys depend on besides the key and the time."""
    groups, factor = state.facts.groups, state.quota_units_per_usd
    return (
        state.counts_only,
        groups and groups.keys(),
        state.is_exhausted,
        state.thresholds,
        factor,
    )


def _threshold(name: str, text: str, field: str) -> Family:
    """Make a family of *field* of the threshold that applies to a key; dollars become quota units."""

    def value(state: AccountState, key: ApiKey, _: float) -> Value:
        found: Value = getattr(state.threshold(key), field) if state.thresholds else None
        return (
            found * state.quota_units_per_usd
            if found is not None and field.endswith("_usd")
            else found
        )

    return _key(name, text, value)


def _restrictions(key: ApiKey) -> tuple[str, ...]:
    facts = (key.has_model_limits, key.has_ip_allowlist, key.has_cross_group_retry)
    return tuple("true" if fact else "false" for fact in facts)


EXPIRY = _key(
    "expiry_timestamp_seconds",
    "Unix time at which the key expires.",
    lambda _, key, __: key.expires_at,
)
KEY_FAMILIES = (
    _key(
        "remaining_quota",
        "Quota units left; can be negative.",
        lambda _, key, __: key.remaining_quota,
    ),
    _key(
        "used_quota",
        "Quota units spent; can fall after a refund.",
        lambda _, key, __: key.used_quota,
    ),
    _key(
        "unlimited_quota",
        "Whether the gateway skips quota checks for the key.",
        lambda _, k, __: k.remaining_quota is None,
    ),
    EXPIRY,
    _key(
        "status",
        "Status code reported by the API: 1 enabled, 2 disabled, 3 expired, 4 exhausted.",
        lambda _, key, __: key.status,
    ),
    _key(
        "usable",
        "Whether the key can serve requests now (enabled, not expired, quota left, account can pay, group available).",
        lambda state, key, now: state.unusable_reason(key, now) is None,
    ),
    _key(
        "created_timestamp_seconds",
        "Unix time at which the key was created.",
        lambda _, key, __: key.created_at,
    ),
    _key(
        "last_used_timestamp_seconds",
        "Unix time at which the key was last used.",
        lambda _, k, __: k.last_used_at,
    ),
    Family(
        name="cometapi_key_info",
        help="Key restrictions, as labels. Constant 1.",
        labels=(*KEY_LABELS, "model_limits", "ip_allowlist", "cross_group_retry"),
        of_key=lambda *_: 1,
        more=_restrictions,
    ),
    *_new(
        _threshold("low_quota_threshold", "Quota units below which to warn.", "low_quota_usd"),
        _threshold(
            "expiry_warning_threshold_seconds", "Seconds before expiry to warn.", "expiry_warning"
        ),
        _threshold(
            "daily_budget_quota",
            "Quota units to spend in a day before a warning.",
            "daily_budget_usd",
        ),
    ),
)
COUNTDOWN = _key(
    "expires_in_seconds",
    "Seconds until the key expires, at the time of the scrape; negative after its expiry.",
    lambda _, key, now: None if key.expires_at is None else key.expires_at - now,
)


def tally_of(state: AccountState, keys: Sequence[ApiKey], now: float) -> Tally:
    """Count *keys* of an account as of unix time *now*; the reason of a usable key is None."""
    tally: Tally = Counter([(key.group, "status", key.status_word) for key in keys])
    tally.update([(key.group, "reason", state.unusable_reason(key, now)) for key in keys])
    return tally


def _counts(name: str, text: str, label: str, words: Iterable[str]) -> Family:
    """Make a family that counts the keys of every group by *label*, zeros included."""
    known = tuple(words)

    def count(state: AccountState, tally: Tally) -> Series:
        return (
            ((group, word), tally[group, label, word])
            for group in sorted(state.groups)
            for word in known
        )

    return _group(name, text, count, "group", label)


def _usable(state: AccountState, tally: Tally) -> Series:
    return (((group,), tally[group, "reason", None]) for group in sorted(state.groups))


def _price_factors(state: AccountState, _: Tally) -> Series:
    return (((group,), factor) for group, factor in sorted((state.facts.groups or {}).items()))


def _gateway(state: AccountState, _: Tally) -> Series:
    return [((state.facts.version,), 1)] if state.facts.version else ()


def _up(state: AccountState, _: Tally) -> Series:
    return [((), state.failing is None)] if state.first_refresh_ended else ()


def _usage(name: str, text: str, field: str) -> Family:
    """Make a family of *field* of what models used, with a key's labels where it is broken down by key."""

    def rows(state: AccountState, _: Tally) -> Series:
        for row in state.usage.rows if state.usage else ():
            key = (str(row.key_id), row.key_name, row.group) if row.key_id else ()
            yield (row.model, *key), getattr(row, field)

    return _group(f"usage_{name}_total", text, rows, "model", *KEY_LABELS[1:])


ACCOUNT_FAMILIES = (
    _counts("keys", "Number of keys by status as reported by the API.", "status", STATUS_LABELS),
    _group("keys_usable", "Number of keys that can currently serve requests.", _usable, "group"),
    *_new(
        _counts(
            "keys_unusable",
            "Number of keys that cannot serve requests, by reason.",
            "reason",
            UnusableReason,
        )
    ),
    _account(
        "account_remaining_quota",
        "Quota units left in the account's wallet.",
        "balance.remaining_quota",
    ),
    _account("account_used_quota", "Quota units that the account has spent.", "balance.used_quota"),
    _account(
        "account_requests_total", "Requests to models as counted by the API.", "balance.requests"
    ),
    *_new(
        _account(
            "account_spendable_quota",
            "Quota units that the account can still spend: wallet, subscriptions or both, by its preference.",
            "spendable_quota",
        ),
        _account(
            "account_subscription_remaining_quota",
            "Quota units left in all running subscriptions.",
            "facts.subscriptions.remaining_quota",
        ),
        _account(
            "account_subscription_end_timestamp_seconds",
            "Unix time at which the first running subscription ends.",
            "facts.subscriptions.ends_at",
        ),
        _account(
            "account_subscription_reset_timestamp_seconds",
            "Unix time at which the quota of a running subscription is next reset.",
            "facts.subscriptions.resets_at",
        ),
        _group(
            "group_price_factor",
            "Price factor of each group available to the account.",
            _price_factors,
            "group",
        ),
        _group("gateway_info", "Version of the gateway. Constant 1.", _gateway, "version"),
        _account(
            "gateway_clock_skew_seconds",
            "How far the exporter's clock is ahead of the gateway's.",
            "clock_skew",
        ),
        _account(
            "exporter_usage_folded_series", "Series summed under the model 'other'.", "usage.folded"
        ),
    ),
    _account(
        "quota_units_per_usd", "Quota units per US dollar.", "quota_units_per_usd", always=True
    ),
    _group("up", "Whether the last refresh of the account succeeded.", _up, always=True),
    _account(
        "exporter_last_success_timestamp_seconds",
        "Unix time at which reading the exposed data began.",
        "read_at",
        always=True,
    ),
    _account(
        "exporter_refresh_interval_seconds",
        "Seconds between the starts of two refreshes, as configured.",
        "interval_seconds",
        always=True,
    ),
    _account(
        "exporter_skipped_keys",
        "Keys of the last refresh that could not be read: left out, or exposed as last read.",
        "skipped",
        always=True,
    ),
    *_new(
        _account(
            "exporter_excluded_keys",
            "Keys left out by include and exclude filters.",
            "excluded",
            always=True,
        ),
    ),
)
USAGE_FAMILIES = _new(
    _usage("quota", "Quota units spent, by model.", "quota"),
    _usage("tokens", "Tokens used, by model.", "tokens"),
    _usage("requests", "Requests, by model.", "requests"),
)
SNAPSHOT_FAMILIES = (*KEY_FAMILIES, *ACCOUNT_FAMILIES, *USAGE_FAMILIES, COUNTDOWN)
