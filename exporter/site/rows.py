"""Say of one key what a line of the status page says.

Pure: an entry and a time in, words out. Knows no HTML and no other key.
"""

from dataclasses import dataclass

from exporter.model import Obstacle
from exporter.site.choose import Entry
from exporter.site.verdict import CRITICAL_SECONDS, CRITICAL_SHARE, WARNING_SECONDS, WARNING_SHARE, share_left
from exporter.site.words import duration, moment, money, utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key in words; *share* is the width of its bar in percent, None for an unlimited key."""

    id: int
    name: str
    account: str
    group: str
    status: str
    status_hint: str
    health: str
    usable: str
    share: float | None
    share_mark: str
    left: str
    used: str
    quota_hint: str
    expires: str
    expires_at: str
    expires_mark: str
    last_used: str
    last_used_at: str
    limits: str


def row(entry: Entry, now: float) -> Row:
    """Describe one key as of unix time *now*."""
    key, share = entry.key, share_left(entry.key)
    return Row(
        id=key.id,
        name=key.name,
        account=entry.account.name,
        group=key.group,
        status=key.status_word,
        status_hint=f"status {key.status} of the API",
        health=entry.verdict.health.value,
        usable=_usable(entry, now),
        share=None if share is None else round(share * 100, 1),
        share_mark=_share_mark(entry, share),
        left="unlimited" if key.remaining_quota is None else f"{money(entry.usd(key.remaining_quota))} left",
        used=f"{money(entry.usd(key.used_quota))} used",
        quota_hint=_quota_hint(entry),
        expires="never" if key.expires_at is None else moment(key.expires_at, now),
        expires_at="" if key.expires_at is None else utc(key.expires_at),
        expires_mark=_expires_mark(entry, now),
        last_used="never" if key.last_used_at is None else f"{duration(now - key.last_used_at)} ago",
        last_used_at="" if key.last_used_at is None else utc(key.last_used_at),
        limits=_limits(entry),
    )


def _usable(entry: Entry, now: float) -> str:
    obstacle, key = entry.verdict.obstacle, entry.key
    if obstacle is Obstacle.EXPIRED and key.expires_at is not None and key.expires_at <= now:
        return f"no: expired {moment(key.expires_at, now)}"
    if obstacle is None:
        return "yes"
    return {
        Obstacle.EXPIRED: "no: expired",
        Obstacle.EXHAUSTED: "no: quota used up",
        Obstacle.DISABLED: "no: switched off",
        Obstacle.UNKNOWN_STATUS: f"no: unknown status {key.status}",
    }[obstacle]


def _share_mark(entry: Entry, share: float | None) -> str:
    """Choose the colour of the bar: "" for the usual one."""
    if entry.verdict.obstacle is not None:
        return "idle"
    if share is None or share >= WARNING_SHARE:
        return ""
    return "critical" if share < CRITICAL_SHARE else "warning"


def _quota_hint(entry: Entry) -> str:
    left = entry.key.remaining_quota
    words = "no limit" if left is None else f"{left:,} units left"
    return f"{words}, {entry.key.used_quota:,} units used"


def _expires_mark(entry: Entry, now: float) -> str:
    """Choose the colour of the expiry: "" for none, as for a key that is dead anyway."""
    at = entry.key.expires_at
    if entry.verdict.obstacle is not None or at is None or at - now >= WARNING_SECONDS:
        return ""
    return "critical" if at - now < CRITICAL_SECONDS else "warning"


def _limits(entry: Entry) -> str:
    key = entry.key
    marks = (
        (key.has_model_limits, "some models only"),
        (key.has_ip_allowlist, "some addresses only"),
        (key.has_cross_group_retry, "tries other groups"),
    )
    return ", ".join(word for has, word in marks if has)
