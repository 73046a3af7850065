"""Judge a key for people: how it is, what stands in its way, how urgent that is.

Pure: an account's state, a key and a time in, a verdict out. The limits are the default thresholds of the alert rules,
plus 2 % of the quota.
"""

import math
from enum import StrEnum

import msgspec

from exporter.model import ApiKey, KeyStatus, Obstacle
from exporter.snapshot import AccountState

DAY = 86_400
CRITICAL_SECONDS, WARNING_SECONDS = DAY, 7 * DAY
CRITICAL_SHARE, WARNING_SHARE = 0.02, 0.1
IN_USE_SECONDS = 7 * DAY


class Health(StrEnum):
    """How a key is, worst first: in the order in which the alerts matter. What each means: `page.HEALTH_WORDS`."""

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

    Of two with one health the lower *urgency* is worse; *by_expiry* tells whether it is the expiry's or the quota's.
    """

    health: Health
    obstacle: Obstacle | None
    urgency: float
    by_expiry: bool = False

    @property
    def rank(self) -> tuple[int, float]:
        """Sorts worst first."""
        return (RANKS[self.health], self.urgency)


def judge(state: AccountState, key: ApiKey, now: float) -> Verdict:
    """Judge *key* of the account *state* at unix time *now*."""
    obstacle = state.obstacle(key, now)
    idle = math.inf if key.last_used_at is None else now - key.last_used_at
    if obstacle is None:
        return Verdict(Health.DRY, None, idle) if state.is_probably_dry(key, now) else _judge_usable(key, now)
    if obstacle is Obstacle.DISABLED:
        return Verdict(Health.DEAD if idle < DAY else Health.DISABLED, obstacle, idle)
    in_use = idle < IN_USE_SECONDS or (key.status == KeyStatus.ENABLED and _has_just_expired(key, now))
    return Verdict(Health.DEAD if in_use else Health.ENDED, obstacle, idle)


def is_never_funded(key: ApiKey) -> bool:
    """Whether *key* never had quota nor was used, as CometAPI tells users to create one for balance queries."""
    return key.remaining_quota == 0 and key.used_quota <= 0 and key.last_used_at is None


def total_quota(key: ApiKey) -> int | None:
    """Return all the quota that the key ever had, in quota units; None for an unlimited key."""
    return None if key.remaining_quota is None else max(key.remaining_quota, 0) + max(key.used_quota, 0)


def share_left(key: ApiKey) -> float | None:
    """Return which part of all its quota the key still has, 0 to 1; None for an unlimited key."""
    total = total_quota(key)
    if key.remaining_quota is None or total is None:
        return None
    return max(key.remaining_quota, 0) / total if total else 0.0


def _has_just_expired(key: ApiKey, now: float) -> bool:
    return key.expires_at is not None and 0 <= now - key.expires_at < WARNING_SECONDS


def _judge_usable(key: ApiKey, now: float) -> Verdict:
    left = share_left(key)
    share, life = math.inf if left is None else left, math.inf if key.expires_at is None else key.expires_at - now
    urgency = min(life / WARNING_SECONDS, share / WARNING_SHARE)
    if life < CRITICAL_SECONDS or share < CRITICAL_SHARE:
        return Verdict(Health.CRITICAL, None, urgency, life / CRITICAL_SECONDS < share / CRITICAL_SHARE)
    return Verdict(
        Health.WARNING if urgency < 1 else Health.OK, None, urgency, life / WARNING_SECONDS < share / WARNING_SHARE
    )
