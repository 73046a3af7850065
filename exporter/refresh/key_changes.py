"""Find what people changed about keys between two refreshes of an account.

Pure: states in, a state out. It reports what somebody decided, and nothing that follows from use:
spending, refunds, expiry by time, and the statuses that a gateway sets when a key is tried. What
was not known before, or is not known now, is no change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from exporter.changes import Change, KeyChange
from exporter.endpoint import last_known
from exporter.formatting import utc
from exporter.model import (
    STATUS_WORDS,
    UNREAD_LIST,
    ApiKey,
    KeyStatus,
    Restriction,
    RestrictionList,
)
from exporter.snapshot import AccountState, KeyList, Reading

Difference = tuple[Change, str, str]
"""What changed about a key, and how it was and is, in words."""
# One quota unit is 0.000002 dollars where 500,000 are a dollar.
FINE_DECIMALS = 6
UNLIMITED = "unlimited"
NEVER = "never"
OF_IP_ALLOWLIST = (
    Change.IP_ALLOWLIST_SET,
    Change.IP_ALLOWLIST_CHANGED,
    Change.IP_ALLOWLIST_REMOVED,
)
OF_MODEL_LIMITS = (
    Change.MODEL_LIMITS_SET,
    Change.MODEL_LIMITS_CHANGED,
    Change.MODEL_LIMITS_REMOVED,
)


def with_changes(before: AccountState, after: AccountState, reading: Reading) -> AccountState:
    """Return *after*, which *reading* made of *before*, with what was changed in between.

    A first list has nothing to be compared with, and a suspicious one may be a mistake: if the next
    one confirms it, that one is compared with the list before both.
    """
    known = last_known(before.endpoints.keys)
    now_known = last_known(after.endpoints.keys)
    if known is None or now_known is None or reading.is_suspicious:
        return after
    comparison = Comparison(
        before=known.value.believed or known.value,
        after=now_known.value,
        missing=frozenset(known.value.missing),
        reading=reading,
        # By the gateway's clock, by which keys are created.
        last_read_at=known.read_at.unix - (before.clock_skew or 0.0),
        usd=after.usd,
    )
    if before.account_id is None and comparison.is_of_other_keys:
        return after
    return replace(after, changes=before.changes.plus(comparison.changes()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two lists of an account's keys, and what decides whether a key is new or gone.

    *missing* holds the ids that the last listing did not show, *last_read_at* is the unix time at
    which it began, *usd* turns quota units into dollars.
    """

    before: KeyList
    after: KeyList
    missing: frozenset[int]
    reading: Reading
    last_read_at: float
    usd: Callable[[float], float]

    @property
    def is_of_other_keys(self) -> bool:
        """Whether both lists have keys, and none is in both.

        Where the gateway does not tell accounts apart, that is another account behind the token.
        """
        former = {key.id for key in self.before.keys}
        listed = {key.id for key in self.reading.listing.keys}
        return bool(former) and bool(listed) and former.isdisjoint(listed)

    def changes(self) -> Iterator[KeyChange]:
        """Yield every change."""
        former = {key.id: key for key in self.before.keys}
        for key in self.after.keys:
            known = former.pop(key.id, None)
            if known is None:
                if self._is_new(key):
                    yield self._change(key, Change.CREATED)
            elif known is not key and known != key:
                for change, was, now in differences(known, key, self.usd):
                    yield self._change(key, change, was, now)
        for key in former.values():
            if self._is_deleted(key):
                yield self._change(key, Change.DELETED)

    def _change(
        self, key: ApiKey, change: Change, before: str | None = None, after: str | None = None
    ) -> KeyChange:
        return KeyChange(
            time=self.reading.began.unix,
            key_id=key.id,
            key_name=key.name,
            change=change,
            before=before,
            after=after,
        )

    def _is_new(self, key: ApiKey) -> bool:
        """Whether *key*, which was not shown before, did not exist before.

        Ids grow. A lower one was excluded, unreadable or missed, unless it was created since.
        """
        if key.id > self.before.newest_id:
            return True
        return key.created_at is not None and key.created_at >= self.last_read_at

    def _is_deleted(self, key: ApiKey) -> bool:
        """Whether *key*, which is no longer shown, does not exist any more.

        A listing that cannot prove it is believed when it is the second that does not show the key.
        """
        if key.id in self.reading.listing.excluded:
            return False
        if self.reading.proves_absence:
            return True
        return self.reading.is_complete and key.id in self.missing


def differences(
    before: ApiKey, after: ApiKey, usd: Callable[[float], float]
) -> Iterator[Difference]:
    """Yield what was changed about a key; *usd* turns quota units into dollars."""
    unread = before.unread | after.unread
    if before.name != after.name and "name" not in unread:
        yield Change.RENAMED, before.name, after.name
    if before.group != after.group and "group" not in unread:
        yield Change.GROUP_CHANGED, before.group, after.group
    if before.status != after.status:
        yield from _status(before, after)
    if "remaining_quota" not in unread:
        yield from _quota(before, after, usd)
    if before.expires_at != after.expires_at and "expires_at" not in unread:
        yield _expiry(before.expires_at, after.expires_at)
    yield from _list(before.ip_allowlist, after.ip_allowlist, OF_IP_ALLOWLIST)
    yield from _list(before.model_limits, after.model_limits, OF_MODEL_LIMITS)


def _status(before: ApiKey, after: ApiKey) -> Iterator[Difference]:
    """Compare the statuses; the gateway itself sets a key expired or exhausted."""
    words = (before.status_word, after.status_word)
    if before.status == KeyStatus.DISABLED and after.status == KeyStatus.ENABLED:
        yield Change.ENABLED, *words
    if before.status in STATUS_WORDS and after.status == KeyStatus.DISABLED:
        yield Change.DISABLED, *words


def _quota(before: ApiKey, after: ApiKey, usd: Callable[[float], float]) -> Iterator[Difference]:
    """Compare the quota that a key ever had: spending and refunds leave it as it is."""
    was_limited = before.remaining_quota is not None
    is_limited = after.remaining_quota is not None
    if was_limited and not is_limited:
        yield Change.QUOTA_LIMIT_REMOVED, _limit(before, usd), UNLIMITED
    if is_limited and not was_limited:
        yield Change.QUOTA_LIMIT_SET, UNLIMITED, _limit(after, usd)
    was = _granted(before)
    now = _granted(after)
    if was is None or now is None or was == now:
        return
    change = Change.QUOTA_RAISED if now > was else Change.QUOTA_LOWERED
    decimals = 2
    if _dollars(usd(was)) == _dollars(usd(now)):
        decimals = FINE_DECIMALS
    yield change, _dollars(usd(was), decimals), _dollars(usd(now), decimals)


def _granted(key: ApiKey) -> int | None:
    """Return what a limited key has left and has spent; None where that is not known."""
    if key.remaining_quota is None or key.used_quota is None:
        return None
    return key.remaining_quota + key.used_quota


def _limit(key: ApiKey, usd: Callable[[float], float]) -> str:
    granted = _granted(key)
    return "limited" if granted is None else _dollars(usd(granted))


def _dollars(amount: float, decimals: int = 2) -> str:
    """Write an amount in full: `$1,234.50`, `-$0.25`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.{decimals}f}"


def _expiry(before: int | None, after: int | None) -> Difference:
    was = NEVER if before is None else utc(before)
    now = NEVER if after is None else utc(after)
    if before is None:
        return Change.EXPIRY_SET, was, now
    if after is None:
        return Change.EXPIRY_REMOVED, was, now
    change = Change.EXPIRY_EXTENDED if after > before else Change.EXPIRY_SHORTENED
    return change, was, now


def _list(
    before: Restriction, after: Restriction, changes: tuple[Change, Change, Change]
) -> Iterator[Difference]:
    """Compare two lists; *changes* name one that is set, changed and removed."""
    if before is UNREAD_LIST or after is UNREAD_LIST or before == after:
        return
    was_set, changed, removed = changes
    words = (_list_words(before), _list_words(after))
    if before is None:
        yield was_set, *words
    elif after is None:
        yield removed, *words
    elif before.digest is not None and after.digest is not None:
        yield changed, *words


def _list_words(restriction: RestrictionList | None) -> str:
    """Say how long a list is; not what is in it, which may help an attacker."""
    if restriction is None:
        return "none"
    if restriction.count is None:
        return "a list"
    words = "1 entry" if restriction.count == 1 else f"{restriction.count:,} entries"
    return f"{words}, any address" if restriction.allows_all else words
