"""Name what people change about keys, and hold the last changes of an account and their numbers.

Pure: knows no gateway, no clock and no log. `refresh.key_changes` finds the changes.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import msgspec

# Documented in docs/api.md. 1,000 changes of keys with the longest names take 2 MB.
MOST_CHANGES = 1_000


class Change(StrEnum):
    """What changed about a key; a closed set for labels, log lines and the API."""

    CREATED = "created"
    DELETED = "deleted"
    RENAMED = "renamed"
    GROUP_CHANGED = "group_changed"
    ENABLED = "enabled"
    DISABLED = "disabled"
    QUOTA_RAISED = "quota_raised"
    QUOTA_LOWERED = "quota_lowered"
    QUOTA_LIMIT_SET = "quota_limit_set"
    QUOTA_LIMIT_REMOVED = "quota_limit_removed"
    EXPIRY_SET = "expiry_set"
    EXPIRY_EXTENDED = "expiry_extended"
    EXPIRY_SHORTENED = "expiry_shortened"
    EXPIRY_REMOVED = "expiry_removed"
    IP_ALLOWLIST_SET = "ip_allowlist_set"
    IP_ALLOWLIST_CHANGED = "ip_allowlist_changed"
    IP_ALLOWLIST_REMOVED = "ip_allowlist_removed"
    MODEL_LIMITS_SET = "model_limits_set"
    MODEL_LIMITS_CHANGED = "model_limits_changed"
    MODEL_LIMITS_REMOVED = "model_limits_removed"


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One change of one key.

    *time* is the unix time at which reading the list that shows it began. *before* and *after* are
    texts for people; None for a key that was created or deleted.
    """

    time: float
    key_id: int
    key_name: str
    change: Change
    before: str | None = None
    after: str | None = None


NO_COUNTS: Mapping[Change, int] = MappingProxyType(dict.fromkeys(Change, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeHistory:
    """The changes of an account's keys since the exporter's start.

    *last* holds the last `MOST_CHANGES`, newest first; *counts* counts all.
    """

    last: Sequence[KeyChange] = ()
    counts: Mapping[Change, int] = field(default_factory=lambda: NO_COUNTS)

    def plus(self, changes: Iterable[KeyChange]) -> "ChangeHistory":
        """Return the same with newer *changes*, which may be many; the same object for none."""
        counts = Counter(self.counts)
        newest: deque[KeyChange] = deque(maxlen=MOST_CHANGES)
        for change in changes:
            counts[change.change] += 1
            newest.appendleft(change)
        if not newest:
            return self
        last = (*newest, *self.last)[:MOST_CHANGES]
        return ChangeHistory(last=last, counts=MappingProxyType(dict(counts)))

    def counts_since(self, earlier: "ChangeHistory") -> Mapping[Change, int]:
        """Return how many changes came after *earlier*, without those of which there are none."""
        grown = {change: number - earlier.counts[change] for change, number in self.counts.items()}
        return {change: number for change, number in grown.items() if number > 0}

    def of_key(self, key_id: int) -> Sequence[KeyChange]:
        """Return the changes of one key, newest first."""
        return [change for change in self.last if change.key_id == key_id]


NO_CHANGES = ChangeHistory()
