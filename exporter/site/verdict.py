"""Judge a key for people: how it is, why it does not work, how urgent that is.

Pure: a key and a time in, a verdict out. The limits are the shipped thresholds of the alert
rules, and 2 % of the quota besides.
"""

import math
from enum import StrEnum

import msgspec

from exporter.model import ApiKey, KeyStatus, Obstacle

DAY = 86_400
CRITICAL_SECONDS, WARNING_SECONDS = DAY, 7 * DAY
CRITICAL_SHARE, WARNING_SHARE = 0.02, 0.1


class Health(StrEnum):
    """How a key is, worst first."""

    DEAD = "dead"
    """The API says enabled, yet the key serves nothing: nobody was told."""
    CRITICAL = "critical"
    """Works, and will not for long: less than a day to its expiry, or under 2 % of its quota left."""
    WARNING = "warning"
    """Works: less than a week to its expiry, or under 10 % of its quota left."""
    ENDED = "ended"
    """The API itself says expired, exhausted or something unknown."""
    OK = "ok"
    DISABLED = "disabled"
    """Somebody switched it off."""


RANKS = {health: rank for rank, health in enumerate(Health)}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What is to be said of one key at one moment; of two with one health the lower *urgency* is worse."""

    health: Health
    obstacle: Obstacle | None
    urgency: float

    @property
    def rank(self) -> tuple[int, float]:
        """Sorts worst first."""
        return (RANKS[self.health], self.urgency)


def judge(key: ApiKey, now: float) -> Verdict:
    """Judge *key* at unix time *now*."""
    obstacle = key.obstacle(now)
    if obstacle is None:
        return _judge_usable(key, now)
    # Among dead ones the worst is the one that somebody has tried to use of late.
    idle = math.inf if key.last_used_at is None else now - key.last_used_at
    if key.status == KeyStatus.ENABLED:
        return Verdict(Health.DEAD, obstacle, idle)
    return Verdict(Health.DISABLED if obstacle is Obstacle.DISABLED else Health.ENDED, obstacle, idle)


def share_left(key: ApiKey) -> float | None:
    """Return which part of all its quota the key still has, 0 to 1; None for an unlimited key."""
    if key.remaining_quota is None:
        return None
    left, used = max(key.remaining_quota, 0), max(key.used_quota, 0)
    return left / (left + used) if left else 0.0


def _judge_usable(key: ApiKey, now: float) -> Verdict:
    share = share_left(key)
    life = math.inf if key.expires_at is None else key.expires_at - now
    urgency = min(life / WARNING_SECONDS, math.inf if share is None else share / WARNING_SHARE)
    if life < CRITICAL_SECONDS or (share is not None and share < CRITICAL_SHARE):
        return Verdict(Health.CRITICAL, None, urgency)
    return Verdict(Health.WARNING if urgency < 1 else Health.OK, None, urgency)
