"""Judge the health of a key, and how urgent it is to act.

Pure: an account's state, a key and a time in, a verdict out. The limits are the thresholds that the
user set for the key, or else the default thresholds of the alert rules.
"""

import math
from enum import StrEnum

import msgspec

from exporter.dryness import Dryness
from exporter.formatting import DAY
from exporter.model import ApiKey, KeyStatus, UnusableReason
from exporter.snapshot import AccountState

# The default thresholds of the alerts in deploy/prometheus/rules/alerts.yml.
CRITICAL_SECONDS = DAY
WARNING_SECONDS = 7 * DAY
# Quota is low below a tenth. A whole number: 0.02 / 0.1 is not 0.2, but 0.02 * 10 is.
LOW_PARTS = 10
# Of the limit below which the quota is low, for a threshold of the user as well.
CRITICAL_PART = 0.2
# How long after its last use a key still counts as in use. A disabled key is forgotten as soon as
# the alert CometAPIKeyDisabledInUse forgets it.
IN_USE_SECONDS = 7 * DAY
DISABLED_IN_USE_SECONDS = DAY


class Health(StrEnum):
    """How a key is, the most urgent first. `page_context.HEALTH_WORDS` explains each."""

    UNUSABLE = "unusable"
    PROBABLY_DRY = "probably_dry"
    CRITICAL = "critical"
    WARNING = "warning"
    INACTIVE = "inactive"
    OK = "ok"
    DISABLED = "disabled"


RANKS = {health: rank for rank, health in enumerate(Health)}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """How one key is at one moment.

    *unusable_reason* is None for a usable key. Of two keys of equal health, the one with the lower
    *urgency* is worse. *by_expiry* tells whether the health of a usable key follows from its expiry
    rather than from its quota. *is_possibly_dry* tells whether the key would be OK if it did not
    rest with less left than a typical request costs.
    """

    health: Health
    unusable_reason: UnusableReason | None
    urgency: float
    by_expiry: bool = False
    is_possibly_dry: bool = False


def judge(state: AccountState, key: ApiKey, now: float) -> Verdict:
    """Judge *key* of the account *state* at unix time *now*."""
    reason = state.unusable_reason(key, now)
    idle = math.inf if key.last_used_at is None else now - key.last_used_at
    if reason is not None:
        return Verdict(_health_of_unusable(key, reason, idle, now), reason, idle)
    match state.dryness_of(key, now):
        case Dryness.PROBABLY:
            return Verdict(Health.PROBABLY_DRY, None, idle)
        case Dryness.POSSIBLY:
            return _with_possible_dryness(_judge_usable(state, key, now))
        case _:
            return _judge_usable(state, key, now)


def _with_possible_dryness(verdict: Verdict) -> Verdict:
    """Return a warning, unless *verdict* is worse already."""
    if verdict.health is not Health.OK:
        return verdict
    return Verdict(Health.WARNING, None, 0.0, is_possibly_dry=True)


def _health_of_unusable(key: ApiKey, reason: UnusableReason, idle: float, now: float) -> Health:
    """Tell keys in use from those that nobody uses; *idle* is seconds since the last use."""
    if reason is UnusableReason.DISABLED:
        return Health.UNUSABLE if idle < DISABLED_IN_USE_SECONDS else Health.DISABLED
    if idle < IN_USE_SECONDS:
        return Health.UNUSABLE
    # Still reported as enabled: nobody has tried to use it since it expired, but somebody may.
    if key.status == KeyStatus.ENABLED and key.expires_at is not None:
        has_just_expired = 0 <= now - key.expires_at < WARNING_SECONDS
        if has_just_expired:
            return Health.UNUSABLE
    return Health.INACTIVE


def is_never_funded(key: ApiKey) -> bool:
    """Whether *key* never had quota nor was used, as a key that only queries the balance."""
    return key.remaining_quota == 0 and (key.used_quota or 0) <= 0 and key.last_used_at is None


def total_quota(key: ApiKey) -> int | None:
    """Return all the quota that the key ever had, in quota units.

    None for an unlimited key, and where the gateway does not tell what was used.
    """
    if key.remaining_quota is None or key.used_quota is None:
        return None
    return max(key.remaining_quota, 0) + max(key.used_quota, 0)


def share_left(key: ApiKey) -> float | None:
    """Return which part of all its quota the key still has, 0 to 1; None where that is unknown."""
    total = total_quota(key)
    if key.remaining_quota is None or not total:
        return total
    return max(key.remaining_quota, 0) / total


def _judge_usable(state: AccountState, key: ApiKey, now: float) -> Verdict:
    own_limit = state.threshold(key).expiry_warning
    warning = own_limit or WARNING_SECONDS
    critical = min(CRITICAL_SECONDS, warning)
    life = math.inf
    # A limit of 0 means: do not warn.
    if key.expires_at is not None and own_limit != 0:
        life = key.expires_at - now
    by_expiry = life / warning
    by_quota = _quota_urgency(state, key)
    urgency = min(by_expiry, by_quota)
    if life < critical or by_quota < CRITICAL_PART:
        is_expiry_worse = life / critical < by_quota / CRITICAL_PART
        return Verdict(Health.CRITICAL, None, urgency, is_expiry_worse)
    health = Health.WARNING if urgency < 1 else Health.OK
    return Verdict(health, None, urgency, by_expiry < by_quota)


def _quota_urgency(state: AccountState, key: ApiKey) -> float:
    """Return the quota left as a multiple of the limit below which it is low."""
    share = share_left(key)
    if share is None or key.remaining_quota is None:
        return math.inf
    low_usd = state.threshold(key).low_quota_usd
    if low_usd is None:
        return share * LOW_PARTS
    # A limit of 0 means: do not warn.
    if low_usd == 0:
        return math.inf
    return key.remaining_quota / (low_usd * state.quota_units_per_usd)
