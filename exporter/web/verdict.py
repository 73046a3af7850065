"""Judge a key for people: how it is, why it does not work, how urgent that is.

Pure: a key and a time in, a verdict out. The limits are the shipped thresholds of the alert
rules, and 2 % of the quota besides.
"""

import math
from enum import StrEnum

import msgspec

from exporter.model import ApiKey, KeyStatus

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


class Flaw(StrEnum):
    """Why a key would serve no request now."""

    DISABLED = "disabled"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    UNKNOWN_STATUS = "unknown_status"


_FLAWS = {KeyStatus.DISABLED: Flaw.DISABLED, KeyStatus.EXPIRED: Flaw.EXPIRED, KeyStatus.EXHAUSTED: Flaw.EXHAUSTED}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What is to be said of one key at one moment; of two with one health the lower *urgency* is worse."""

    health: Health
    flaw: Flaw | None
    urgency: float

    @property
    def rank(self) -> tuple[int, float]:
        """Sorts worst first."""
        return (RANKS[self.health], self.urgency)


def judge(key: ApiKey, now: float) -> Verdict:
    """Judge *key* at unix time *now*."""
    flaw = find_flaw(key, now)
    if flaw is None:
        return _judge_usable(key, now)
    # Among dead ones the worst is the one that somebody has tried to use of late.
    idle = math.inf if key.last_used_at is None else now - key.last_used_at
    if key.status == KeyStatus.ENABLED:
        return Verdict(Health.DEAD, flaw, idle)
    return Verdict(Health.DISABLED if flaw is Flaw.DISABLED else Health.ENDED, flaw, idle)


def find_flaw(key: ApiKey, now: float) -> Flaw | None:
    """Say why *key* is not usable; None exactly where `ApiKey.is_usable`."""
    if key.status != KeyStatus.ENABLED:
        return _FLAWS.get(key.status, Flaw.UNKNOWN_STATUS)  # type: ignore[call-overload,no-any-return]
    if key.has_expired(now):
        return Flaw.EXPIRED
    if key.remaining_quota is not None and key.remaining_quota <= 0:
        return Flaw.EXHAUSTED
    return None


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
