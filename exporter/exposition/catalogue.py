"""List every metric family about keys and accounts, one row each, and how its values are read.

Pure: no HTTP, no clock (the time is an argument), no client library. The exposition is rendered
from these rows; `docs/families.toml` adds what only the reference says.

A row may read anything of the state of the account. A value may also depend on the time: the rows
are read again when the account changes, when one of its keys expires, and otherwise every two
minutes (`rendering.MAX_AGE_SECONDS`). Only the countdown is exact at each scrape.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from exporter.bounds import OTHER_GROUPS, Bounds
from exporter.endpoint import Known, NotOffered, Unknown
from exporter.model import (
    STATUS_LABELS,
    ApiKey,
    Balance,
    MonthRow,
    Subscriptions,
    UnusableReason,
    UsageRow,
)
from exporter.policies import PolicyKind
from exporter.snapshot import AccountState
from exporter.thresholds import Threshold

KEY_LABELS = ("account", "key_id", "key_name", "group")
EXPERIMENTAL = "experimental"

Value = float | None
"""None where there is no series."""
Series = Iterable[tuple[tuple[str, ...], Value]]
"""Label values after `account`, in the order of the family's labels, and the value.

The last label values may be left out. No two items have the same label values.
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many keys of an account there are, by group and status, and by group and reason.

    The reason says why a key is unusable; that of a usable key is None. *violations* counts the
    keys that break each kind of policy.
    """

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    violations: Counter[PolicyKind] = field(default_factory=Counter)

    def add(self, state: AccountState, keys: Sequence[ApiKey], now: float) -> None:
        """Count *keys* of the account *state* as of unix time *now*."""
        counted = state.key_groups
        groups = [key.group if key.group in counted else OTHER_GROUPS for key in keys]
        words = [key.status_word for key in keys]
        reasons = [state.unusable_reason(key, now) for key in keys]
        self.statuses.update(zip(groups, words, strict=True))
        self.reasons.update(zip(groups, reasons, strict=True))
        broken = [state.broken_policies(key, now) for key in keys]
        self.violations.update(chain.from_iterable(broken))


OfKey = Callable[[AccountState, ApiKey, float], Value]
OfAccount = Callable[[AccountState, Tally], Series]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One metric family, whatever its series are about.

    *of_key* reads the value of a key at a unix time, *more* its label values beyond `KEY_LABELS`;
    *several_of_key* reads the values of the last label of a key's series, whose value is always 1.
    *of_account* reads all series of an account. A family without any is the exporter's own.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ("account",)
    is_histogram: bool = False
    stage: str = "stable"
    of_key: OfKey | None = None
    more: Callable[[ApiKey], tuple[str, ...]] | None = None
    several_of_key: Callable[[AccountState, ApiKey, float], Iterable[str]] | None = None
    of_account: OfAccount | None = None

    @property
    def kind(self) -> str:
        """The Prometheus type. The names of counters end in `_total`."""
        if self.is_histogram:
            return "histogram"
        if self.name.endswith("_total"):
            return "counter"
        return "gauge"


def _new(*families: Family) -> tuple[Family, ...]:
    """Mark *families* as experimental."""
    return tuple(replace(family, stage=EXPERIMENTAL) for family in families)


# Families of keys.


def _judged_key(name: str, text: str, of_key: OfKey) -> Family:
    """Make a family whose value depends on the key, the state of its account and the time."""
    return Family(name=f"cometapi_key_{name}", help=text, labels=KEY_LABELS, of_key=of_key)


def _key(name: str, text: str, read: Callable[[ApiKey], Value]) -> Family:
    """Make a family whose value the key has by itself."""

    def of_key(_state: AccountState, key: ApiKey, _now: float) -> Value:
        return read(key)

    return _judged_key(name, text, of_key)


def _threshold(name: str, text: str, read: Callable[[Threshold], Value]) -> Family:
    """Make a family of a setting of the threshold that applies to a key."""

    def of_key(state: AccountState, key: ApiKey, _now: float) -> Value:
        return read(state.threshold(key))

    return _judged_key(name, text, of_key)


def _threshold_in_usd(name: str, text: str, read: Callable[[Threshold], Value]) -> Family:
    """Make a family of a threshold that is set in dollars, and exposed in quota units."""

    def of_key(state: AccountState, key: ApiKey, _now: float) -> Value:
        usd = read(state.threshold(key))
        return None if usd is None else usd * state.quota_units_per_usd

    return _judged_key(name, text, of_key)


def _is_usable(state: AccountState, key: ApiKey, now: float) -> Value:
    return state.unusable_reason(key, now) is None


def _seconds_until_expiry(_: AccountState, key: ApiKey, now: float) -> Value:
    return None if key.expires_at is None else key.expires_at - now


def _one(_state: AccountState, _key: ApiKey, _now: float) -> Value:
    return 1


# An empty label is what Prometheus takes for an absent one: not known.
_RESTRICTION_WORDS: Mapping[bool | None, str] = {True: "true", False: "false", None: ""}


def _violations(state: AccountState, key: ApiKey, now: float) -> Iterable[str]:
    return state.broken_policies(key, now)


def _restrictions(key: ApiKey) -> tuple[str, ...]:
    facts = (key.has_model_limits, key.has_ip_allowlist, key.has_cross_group_retry)
    return tuple(_RESTRICTION_WORDS[fact] for fact in facts)


KEY_FAMILIES = (
    _key(
        "remaining_quota",
        "Quota units left; can be negative.",
        lambda key: key.remaining_quota,
    ),
    _key(
        "used_quota",
        "Quota units spent; can fall after a refund.",
        lambda key: key.used_quota,
    ),
    _key(
        "unlimited_quota",
        "Whether the gateway skips quota checks for the key.",
        lambda key: key.remaining_quota is None,
    ),
    _key(
        "expiry_timestamp_seconds",
        "Unix time at which the key expires.",
        lambda key: key.expires_at,
    ),
    _key(
        "status",
        "Status code reported by the API: 1 enabled, 2 disabled, 3 expired, 4 exhausted.",
        lambda key: key.status,
    ),
    _judged_key(
        "usable",
        "Whether the key can serve requests now (enabled, not expired, quota left, account can"
        " pay, group available).",
        _is_usable,
    ),
    _key(
        "created_timestamp_seconds",
        "Unix time at which the key was created.",
        lambda key: key.created_at,
    ),
    _key(
        "last_used_timestamp_seconds",
        "Unix time at which the key was last used.",
        lambda key: key.last_used_at,
    ),
    Family(
        name="cometapi_key_info",
        help="Key restrictions, as labels. Constant 1.",
        labels=(*KEY_LABELS, "model_limits", "ip_allowlist", "cross_group_retry"),
        of_key=_one,
        more=_restrictions,
    ),
    *_new(
        _threshold_in_usd(
            "low_quota_threshold",
            "Remaining quota, in quota units, below which the alerts warn.",
            lambda threshold: threshold.low_quota_usd,
        ),
        _threshold(
            "expiry_warning_threshold_seconds",
            "Seconds before expiry at which the alerts warn.",
            lambda threshold: threshold.expiry_warning,
        ),
        _threshold_in_usd(
            "daily_budget_quota",
            "Daily budget of the key in quota units.",
            lambda threshold: threshold.daily_budget_usd,
        ),
        _threshold_in_usd(
            "monthly_budget_quota",
            "Budget of the key in quota units for a calendar month (UTC).",
            lambda threshold: threshold.monthly_budget_usd,
        ),
        Family(
            name="cometapi_key_policy_violation",
            help="Policy that the key breaks. Constant 1.",
            labels=(*KEY_LABELS, "policy"),
            several_of_key=_violations,
        ),
    ),
)
COUNTDOWN = _judged_key(
    "expires_in_seconds",
    "Seconds until the key expires, at the time of the scrape; negative after its expiry.",
    _seconds_until_expiry,
)


# Families of accounts, and of what an account has several of.


def _series(name: str, text: str, of_account: OfAccount, *labels: str) -> Family:
    """Make a family of any number of series an account, told apart by *labels*."""
    return Family(
        name=f"cometapi_{name}",
        help=text,
        labels=("account", *labels),
        of_account=of_account,
    )


def _account(name: str, text: str, read: Callable[[AccountState], Value]) -> Family:
    """Make a family of one series an account."""

    def of_account(state: AccountState, _: Tally) -> Series:
        return [((), read(state))]

    return _series(name, text, of_account)


def _balance(name: str, text: str, read: Callable[[Balance], Value]) -> Family:
    """Make a family of a figure of the account's wallet."""

    def of_state(state: AccountState) -> Value:
        return None if state.balance is None else read(state.balance)

    return _account(name, text, of_state)


def _bounds(name: str, text: str, read: Callable[[Bounds], int]) -> Family:
    """Make a family of what is beyond the bounds of the account's names and groups."""

    def of_state(state: AccountState) -> Value:
        return None if state.bounds is None else read(state.bounds)

    return _account(name, text, of_state)


def _subscriptions(name: str, text: str, read: Callable[[Subscriptions], Value]) -> Family:
    """Make a family of a figure of the account's running subscriptions."""

    def of_state(state: AccountState) -> Value:
        found = state.subscriptions
        if found is None or not found.is_any_running:
            return None
        return read(found)

    return _account(name, text, of_state)


def _key_statuses(state: AccountState, tally: Tally) -> Series:
    for group in sorted(state.key_groups):
        for word in STATUS_LABELS:
            yield (group, word), tally.statuses[group, word]


def _usable_keys(state: AccountState, tally: Tally) -> Series:
    for group in sorted(state.key_groups):
        yield (group,), tally.reasons[group, None]


def _unusable_keys(state: AccountState, tally: Tally) -> Series:
    for group in sorted(state.key_groups):
        for reason in UnusableReason:
            yield (group, reason), tally.reasons[group, reason]


def _violating_keys(state: AccountState, tally: Tally) -> Series:
    if state.serves_data:
        for kind in state.policies.kinds:
            yield (kind,), tally.violations[kind]


def _price_factors(state: AccountState, _: Tally) -> Series:
    factors = state.open_groups or {}
    for group in sorted(factors):
        yield (group,), factors[group]


def _gateway(state: AccountState, _: Tally) -> Series:
    if state.status is not None and state.status.version:
        yield (state.status.version,), 1


def _up(state: AccountState) -> Value:
    return state.failing is None if state.first_refresh_ended else None


def _monthly_budget(state: AccountState) -> Value:
    usd = state.monthly_budget_usd
    return None if usd is None else usd * state.quota_units_per_usd


def _api_up(state: AccountState, _: Tally) -> Series:
    for path, endpoint in state.endpoints.by_path().items():
        match endpoint:
            case Known():
                yield (path,), 1
            case Unknown(failure=None) | NotOffered():
                yield (path,), None
            case _:
                yield (path,), 0


def _folded_series(state: AccountState) -> Value:
    return None if state.usage is None else state.usage.folded


def _key_changes(state: AccountState, _: Tally) -> Series:
    for change, number in state.changes.counts.items():
        yield (change.value,), number


ACCOUNT_FAMILIES = (
    _series(
        "keys",
        "Number of keys by status as reported by the API.",
        _key_statuses,
        *("group", "status"),
    ),
    _series(
        "keys_usable", "Number of keys that can currently serve requests.", _usable_keys, "group"
    ),
    *_new(
        _series(
            "keys_unusable",
            "Number of keys that cannot serve requests, by reason.",
            _unusable_keys,
            *("group", "reason"),
        ),
        _series(
            "key_changes_total",
            "Changes that people made to keys, by kind.",
            _key_changes,
            "change",
        ),
        _series(
            "keys_violating_policy",
            "Number of enabled keys that break a policy.",
            _violating_keys,
            "policy",
        ),
    ),
    _balance(
        "account_remaining_quota",
        "Quota units left in the account's wallet.",
        lambda balance: balance.remaining_quota,
    ),
    _balance(
        "account_used_quota",
        "Quota units that the account has spent.",
        lambda balance: balance.used_quota,
    ),
    _balance(
        "account_requests_total",
        "Requests to models as counted by the API.",
        lambda balance: balance.requests,
    ),
    *_new(
        _account(
            "account_spendable_quota",
            "Quota units that the account can still spend: wallet, subscriptions or both, according"
            " to the account's billing preference.",
            lambda state: state.spendable_quota,
        ),
        _account(
            "account_largest_purse_quota",
            "Most quota units that a single request can cost: the larger of wallet and"
            " subscriptions that may pay for it.",
            lambda state: state.largest_purse_quota,
        ),
        _subscriptions(
            "account_subscription_remaining_quota",
            "Quota units left in all running subscriptions.",
            lambda running: running.remaining_quota,
        ),
        _subscriptions(
            "account_subscription_end_timestamp_seconds",
            "Unix time at which the first running subscription ends.",
            lambda running: running.ends_at,
        ),
        _subscriptions(
            "account_subscription_reset_timestamp_seconds",
            "Unix time at which the quota of a running subscription is next reset.",
            lambda running: running.resets_at,
        ),
        _account(
            "account_monthly_budget_quota",
            "Budget of the account in quota units for a calendar month (UTC).",
            _monthly_budget,
        ),
        _series(
            "group_price_factor",
            "Price factor of each group available to the account.",
            _price_factors,
            "group",
        ),
        _series("gateway_info", "Version of the gateway. Constant 1.", _gateway, "version"),
        _account(
            "gateway_clock_skew_seconds",
            "Seconds by which the exporter's clock is ahead of the gateway's; negative if it is"
            " behind.",
            lambda state: state.clock_skew,
        ),
        _account(
            "exporter_usage_folded_series",
            "Number of usage series summed under the model 'other'.",
            _folded_series,
        ),
    ),
    _account(
        "quota_units_per_usd",
        "Quota units per US dollar.",
        lambda state: state.quota_units_per_usd,
    ),
    _account("up", "Whether the last refresh of the account succeeded.", _up),
    _account(
        "exporter_last_success_timestamp_seconds",
        "Unix time at which the last successful refresh began.",
        lambda state: state.read_at,
    ),
    _account(
        "exporter_refresh_interval_seconds",
        "Seconds between the starts of two refreshes, as configured.",
        lambda state: state.interval_seconds,
    ),
    _account(
        "exporter_skipped_keys",
        "Keys that could not be parsed in the last refresh: not exposed, or exposed with previous"
        " values.",
        lambda state: state.skipped,
    ),
    *_new(
        _account(
            "exporter_excluded_keys",
            "Keys excluded by include and exclude filters.",
            lambda state: state.excluded,
        ),
        _bounds(
            "exporter_folded_groups",
            "Groups whose keys are counted under the group 'other'.",
            lambda bounds: bounds.folded_groups,
        ),
        _bounds(
            "exporter_shortened_keys",
            "Keys whose name or group is shortened in labels, because all names of the account"
            " are too long together.",
            lambda bounds: bounds.shortened_keys,
        ),
        _series(
            "exporter_api_up",
            "Whether the last request to this endpoint returned the expected content.",
            _api_up,
            "path",
        ),
    ),
)


# Families of what models cost.

USAGE_LABELS = ("model", *KEY_LABELS[1:])
Row = TypeVar("Row", UsageRow, MonthRow)


def _usage(name: str, text: str, read: Callable[[UsageRow], int]) -> Family:
    """Make a family of what models used, with a key's labels where it is broken down by key."""

    def sums(state: AccountState, _: Tally) -> Series:
        return _sums_by_labels(state.usage.rows if state.usage else (), read).items()

    return _series(f"usage_{name}_total", text, sums, *USAGE_LABELS)


def _sums_by_labels(
    rows: Iterable[Row], read: Callable[[Row], int]
) -> Mapping[tuple[str, ...], int]:
    """Sum the values of rows with the same labels, so that no series comes twice."""
    sums: dict[tuple[str, ...], int] = {}
    for row in rows:
        labels = usage_labels(row)
        sums[labels] = sums.get(labels, 0) + read(row)
    return sums


def usage_labels(row: UsageRow | MonthRow) -> tuple[str, ...]:
    """Return the label values of *row* after `account`."""
    if row.key_id:
        return (row.model, str(row.key_id), row.key_name, row.group)
    return (row.model,)


def _month_quota(state: AccountState, _: Tally) -> Series:
    month = state.usage.month if state.usage else None
    if month is None:
        return ()
    if not month:
        # Nothing was used, which is not unknown: a 0 without a model.
        return [(("",), 0)]
    return _sums_by_labels(month, lambda row: row.quota).items()


USAGE_FAMILIES = _new(
    _usage("quota", "Quota units spent, by model.", lambda row: row.quota),
    _usage("tokens", "Tokens used, by model.", lambda row: row.tokens),
    _usage("requests", "Requests, by model.", lambda row: row.requests),
    _series(
        "usage_month_quota",
        "Quota units recorded in the running calendar month (UTC), by model; read once an hour.",
        _month_quota,
        *USAGE_LABELS,
    ),
)

HEAD_FAMILIES = (*KEY_FAMILIES, *ACCOUNT_FAMILIES, *USAGE_FAMILIES)
"""The families that are rendered when an account changes, in the order of the exposition."""
SNAPSHOT_FAMILIES = (*HEAD_FAMILIES, COUNTDOWN)
