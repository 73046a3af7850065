"""Say what a key is, whichever gateway it came from.

Pure: knows no HTTP, no JSON field name, no clock, no metric. Quotas are in the gateway's own quota
units, times in unix seconds. `None` always means "does not apply" or "not reported": an unlimited
key has no remaining quota, a key that never expires no expiry.
"""

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

LONGEST_LABEL = 200
# 64 characters of four bytes, or 200 Latin and 28 others.
LONGEST_LABEL_BYTES = 256


class KeyStatus(IntEnum):
    """What the API says about a key. It changes a status only when the key is used."""

    ENABLED = 1
    DISABLED = 2
    EXPIRED = 3
    EXHAUSTED = 4


class UnusableReason(StrEnum):
    """What stands in the way of a request with a key; the first that applies, in this order."""

    DISABLED = "disabled"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    UNKNOWN_STATUS = "unknown_status"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_EXHAUSTED = "account_exhausted"
    GROUP_UNAVAILABLE = "group_unavailable"


STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {status.value: status.name.lower() for status in KeyStatus}
)
UNKNOWN_STATUS = "unknown"
STATUS_LABELS = (*STATUS_WORDS.values(), UNKNOWN_STATUS)


class RestrictionList(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a key is restricted to, addresses or models, without the entries themselves.

    *count* is how many entries there are; *digest* is the same for the same entries in any order.
    *allows_all* tells whether a list of addresses lets every address through. The three are None
    where there is a list, but its entries could not be read.
    """

    count: int | None = None
    digest: int | None = None
    allows_all: bool | None = None


class UnreadList(Enum):
    """Stands for a list of which not even its existence could be read."""

    UNREAD = "unread"


UNREAD_LIST: Final = UnreadList.UNREAD
Restriction = RestrictionList | UnreadList | None
"""A list that restricts a key; None for no list."""


def _exists(restriction: Restriction) -> bool | None:
    if restriction is UNREAD_LIST:
        return None
    return restriction is not None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One key of an account, without its secret.

    *used_quota* is None where the gateway does not tell it, and *has_cross_group_retry* where it
    could not be read. *unread* names the other attributes that could not be read, and stand at
    what "not set" is. A msgspec struct, not a dataclass: half the memory, and an account may have
    100,000 of them.
    """

    id: int
    name: str
    group: str
    status: int
    remaining_quota: int | None
    used_quota: int | None
    expires_at: int | None
    created_at: int | None
    last_used_at: int | None
    model_limits: Restriction
    ip_allowlist: Restriction
    has_cross_group_retry: bool | None
    unread: frozenset[str] = frozenset()

    @property
    def has_model_limits(self) -> bool | None:
        """Whether the key is limited to a list of models; None where that could not be read."""
        return _exists(self.model_limits)

    @property
    def has_ip_allowlist(self) -> bool | None:
        """Whether the key is limited to a list of addresses; None where that could not be read."""
        return _exists(self.ip_allowlist)

    @property
    def status_word(self) -> str:
        """The status as one of `STATUS_LABELS`."""
        return STATUS_WORDS.get(self.status, UNKNOWN_STATUS)


def full_name(key: ApiKey) -> str:
    """Return `<group>/<name>`, which the expressions of the user match as a whole."""
    return f"{key.group}/{key.name}"


class Balance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the account's wallet has left and the account has spent, in quota units.

    *requests* counts what it has sent. *account_id* tells one account of a gateway from another.
    *has_gifts* tells whether there is quota in a purse of its own that may pay, too. What the
    gateway does not tell is None; *unread* names the fields that could not be read.
    """

    remaining_quota: int
    used_quota: int | None
    requests: int | None = None
    account_id: int | None = None
    has_gifts: bool = False
    unread: tuple[str, ...] = ()


def is_other_account(before: int | None, after: int | None) -> bool:
    """Whether two account ids are certainly of two accounts; None is an id that is not known."""
    return before is not None and after is not None and before != after


class BillingPreference(StrEnum):
    """Which purse an account pays with first, and whether the other one pays too."""

    SUBSCRIPTION_FIRST = "subscription_first"
    WALLET_FIRST = "wallet_first"
    SUBSCRIPTION_ONLY = "subscription_only"
    WALLET_ONLY = "wallet_only"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One running subscription; *remaining_quota* is None where it has no limit.

    *allows_wallet_overflow* tells whether the wallet pays for what the subscription cannot, where
    the account prefers its subscriptions.
    """

    remaining_quota: int | None
    ends_at: int | None = None
    resets_at: int | None = None
    allows_wallet_overflow: bool = True


class Subscriptions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The running subscriptions of an account, and how it prefers to pay.

    *unreadable* counts the running ones that could not be read. *preference* is None where it is
    none of the known ones. *unread* names the fields that could not be read. What is not known
    makes the sums unknown.
    """

    running: tuple[Subscription, ...] = ()
    unreadable: int = 0
    preference: BillingPreference | None = BillingPreference.SUBSCRIPTION_FIRST
    unread: tuple[str, ...] = ()

    @property
    def is_any_running(self) -> bool:
        """Whether a subscription is running, readable or not."""
        return bool(self.running) or self.unreadable > 0

    @property
    def has_unlimited(self) -> bool:
        """Whether one of them has no limit."""
        return any(each.remaining_quota is None for each in self.running)

    @property
    def remaining_quota(self) -> int | None:
        """What is left in all of them; None where one has no limit, or could not be read."""
        if self.unreadable or self.has_unlimited:
            return None
        return sum(each.remaining_quota or 0 for each in self.running)

    @property
    def ends_at(self) -> int | None:
        """When the first of them ends, None where none has an end that is known."""
        ends = [each.ends_at for each in self.running if each.ends_at is not None]
        return min(ends, default=None)

    @property
    def resets_at(self) -> int | None:
        """When the quota of one is next reset, None where none has a reset that is known."""
        resets = [each.resets_at for each in self.running if each.resets_at is not None]
        return min(resets, default=None)


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of itself; None for what it does not say.

    *has_usage* tells whether it records usage by model, *unread* names the fields that could not be
    read.
    """

    version: str | None = None
    quota_units_per_usd: float | None = None
    has_usage: bool = False
    unread: tuple[str, ...] = ()


class Series(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What usage is counted by: a model, or a model and the key that used it.

    *key_id* is 0 where the gateway's sums are by model alone, and for usage of no key.
    """

    model: str
    key_id: int = 0


class Amounts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How much was used: quota units, tokens and requests."""

    quota: int = 0
    tokens: int = 0
    requests: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return the sum of both."""
        return Amounts(
            quota=self.quota + other.quota,
            tokens=self.tokens + other.tokens,
            requests=self.requests + other.requests,
        )

    def beyond(self, other: "Amounts") -> "Amounts":
        """Return by how much these exceed *other*, 0 for an amount that does not."""
        return Amounts(
            quota=max(0, self.quota - other.quota),
            tokens=max(0, self.tokens - other.tokens),
            requests=max(0, self.requests - other.requests),
        )


class UsageRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The counters of one model, or of one key with one model: quota units, tokens, requests.

    *key_name* and *group* are the key's own, as the listing has them. *key_id* is 0, the other two
    are empty where the gateway's sums are by model alone, and for usage of no key.
    """

    model: str
    key_id: int = 0
    key_name: str = ""
    group: str = ""
    quota: int = 0
    tokens: int = 0
    requests: int = 0


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What models cost in the UTC day and the UTC month of *read_at*.

    Name, quota units of the day and of the month.

    The most expensive of the month come first; what the others cost is summed in the last.
    *month_by_key* are quota units of the month by the key's ID, without keys that were not used;
    None where usage is not counted by key.
    """

    read_at: float
    models: tuple[tuple[str, int, int], ...]
    month_by_key: Mapping[int, int] | None = None


class MonthRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The quota units that one model, or one key with one model, cost in the UTC month.

    The key is described as in `UsageRow`.
    """

    model: str
    key_id: int = 0
    key_name: str = ""
    group: str = ""
    quota: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of what models cost since the exporter's start, and the *spending* of the month.

    *folded* counts the series that are summed under the model "other". *spending* is None where it
    is not reported; *month*, the same by the labels of the counters, too.
    """

    rows: tuple[UsageRow, ...] = ()
    folded: int = 0
    spending: Spending | None = None
    month: tuple[MonthRow, ...] | None = None


class Unread(msgspec.Struct, frozen=True, kw_only=True, gc=False, order=True):
    """A field of a key that could not be read, by its name in the API.

    *key_id* is None where the id itself could not be read. *costs_key* tells whether the key is
    left out for it.
    """

    field: str
    key_id: int | None = None
    costs_key: bool = False

    def __str__(self) -> str:
        return f"{self.field} of key {'?' if self.key_id is None else self.key_id}"


class ListingProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far reading all pages is.

    *pages* were read; *expected* is how many there are, None where the gateway names no total.
    *is_waiting* tells whether the next page waits for the rate limit.
    """

    pages: int = 0
    expected: int | None = None
    is_waiting: bool = False


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All keys of one account as one refresh read them.

    *unreadable* holds the ids of keys that came but could not be read, *nameless* counts those
    whose id could not be read either. *unread* names the fields that could not be read, some
    thousand at most. *is_complete* tells whether every key that existed during the whole listing
    is in it. *changed_while_read* tells whether keys were created or deleted meanwhile, None where
    the gateway's responses cannot show it. *excluded* holds the ids of keys left out by filters.
    """

    keys: tuple[ApiKey, ...]
    unreadable: frozenset[int] = frozenset()
    nameless: int = 0
    unread: frozenset[Unread] = frozenset()
    is_complete: bool = True
    changed_while_read: bool | None = False
    excluded: frozenset[int] = frozenset()

    @property
    def proves_absence(self) -> bool:
        """Whether a key that is not in this listing does not exist any more."""
        return self.is_complete and self.changed_while_read is False

    @property
    def skipped(self) -> int:
        """How many keys of this listing could not be read."""
        return len(self.unreadable) + self.nameless


def sharing_memory(listing: Listing, known: Iterable[ApiKey]) -> Listing:
    """Return the same listing, with keys of *known* in the place of equal ones.

    A key that has changed shares its name and group with the known one: they are most of its
    memory, and both listings stay until the new one is shown.
    """
    by_id = {key.id: key for key in known}
    keys = tuple(_sharing_memory(key, by_id.get(key.id)) for key in listing.keys)
    return msgspec.structs.replace(listing, keys=keys)


def _sharing_memory(key: ApiKey, known: ApiKey | None) -> ApiKey:
    if known is None:
        return key
    if known == key:
        return known
    if known.name == key.name and known.group == key.group:
        return msgspec.structs.replace(key, name=known.name, group=known.group)
    return key


def group_names(group: str) -> list[str]:
    """Return the names in a key's *group*: some gateways let a key have several, with commas."""
    return [name.strip() for name in group.split(",")]


def label_text(text: str) -> str:
    """Make decoded *text* fit to be a label value.

    At most 200 characters and 256 bytes of UTF-8.
    """
    text = text[:LONGEST_LABEL]
    if text.isascii():
        return text
    return text.encode()[:LONGEST_LABEL_BYTES].decode(errors="ignore")
