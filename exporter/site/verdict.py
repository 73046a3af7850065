"""Judge a key for people: how it is, what stands in its way, how urgent that is.

Pure: an account's state, a key and a time in, a verdict out. The limits are the thresholds that the
user set for the key, else the default thresholds of the alert rules; a fifth of the limit on quota
is critical.
"""

import math
from enum import StrEnum

import msgspec

from exporter.model import ApiKey, KeyStatus, Obstacle
from exporter.snapshot import AccountState

DAY = 86_400
CRITICAL_SECONDS, WARNING_SECONDS = DAY, 7 * DAY
LOW_PARTS, CRITICAL_PART = 10, 0.2  # low is less than a tenth of all quota
IN_USE_SECONDS = 7 * DAY


class Health(StrEnum):
    """How a key is, worst first: in the order in which the alerts matter. What each means: `page_context.HEALTH_WORDS`."""

    DEAD = "dead"
    DRY = "probably_dry"
    CRITICAL = "critical"
    WARNING = "warning"
    ENDED = "ended"
    OK = "ok"
    DISABLED = "disabled"


RANKS = {health: rank for rank, health in enumerate(Health)}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What there is to say of one key at one moment.

    Of two with one health the lower *urgency* is worse; *by_expiry* tells whether it is the
    expiry's or the quota's.
    """

    health: Health
    obstacle: Obstacle | None
    urgency: float
    by_expiry: bool = False


def judge(state: AccountState, key: ApiKey, now: float) -> Verdict:
    """Judge *key* of the account *state* at unix time *now*."""
    obstacle = state.obstacle(key, now)
    idle = math.inf if key.last_used_at is None else now - key.last_used_at
    if obstacle is None:
        return (
            Verdict(Health.DRY, None, idle)
            if state.is_probably_dry(key, now)
            else _judge_usable(state, key, now)
        )
    if obstacle is Obstacle.DISABLED:
        return Verdict(Health.DEAD if idle < DAY else Health.DISABLED, obstacle, idle)
    has_just_expired = key.expires_at is not None and 0 <= now - key.expires_at < WARNING_SECONDS
    in_use = idle < IN_USE_SECONDS or (key.status == KeyStatus.ENABLED and has_just_expired)
    return Verdict(Health.DEAD if in_use else Health.ENDED, obstacle, idle)


def is_never_funded(key: ApiKey) -> bool:
    """Whether *key* never had quota nor was used, as CometAPI tells users to create one for balance queries."""
    return key.remaining_quota == 0 and key.used_quota <= 0 and key.last_used_at is None


def total_quota(key: ApiKey) -> int | None:
    """Return all the quota that the key ever had, in quota units; None for an unlimited key."""
    return (
        None
        if key.remaining_quota is None
        else max(key.remaining_quota, 0) + max(key.used_quota, 0)
    )


def share_left(key: ApiKey) -> float | None:
    """Return which part of all its quota the key still has, 0 to 1; None for an unlimited key."""
    total = total_quota(key)
    if key.remaining_quota is None or not total:
        return total
    return max(key.remaining_quota, 0) / total


def _judge_usable(state: AccountState, key: ApiKey, now: float) -> Verdict:
    own_limit = state.threshold(key).expiry_warning
    warning = own_limit or WARNING_SECONDS
    critical = min(CRITICAL_SECONDS, warning)
    life = (
        math.inf if key.expires_at is None or own_limit == 0 else key.expires_at - now
    )  # 0: do not warn
    by_expiry, by_quota = life / warning, _quota_urgency(state, key)
    urgency = min(by_expiry, by_quota)
    if life < critical or by_quota < CRITICAL_PART:
        return Verdict(Health.CRITICAL, None, urgency, life / critical < by_quota / CRITICAL_PART)
    return Verdict(
        Health.WARNING if urgency < 1 else Health.OK, None, urgency, by_expiry < by_quota
    )


def _quota_urgency(state: AccountState, key: ApiKey) -> float:
    """Return what is left as a multiple of the limit below which to warn."""
    share, usd = share_left(key), state.threshold(key).low_quota_usd
    if share is None or key.remaining_quota is None:
        return math.inf
    if usd is None:
        return share * LOW_PARTS
    return key.remaining_quota / (usd * state.quota_units_per_usd) if usd else math.inf
