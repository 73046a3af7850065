"""Hold what is known of every account, and say how responses and errors change it.

Pure: no HTTP, no clock (times are arguments), no metric. Everything is immutable: a change makes a
new `Snapshot`, and readers of the old one keep a consistent view.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec

from exporter import endpoint
from exporter.bounds import NOTHING_BEYOND, Bounds, bounds_of, counted_groups
from exporter.changes import NO_CHANGES, ChangeHistory
from exporter.dryness import Dryness, Spent, dryness
from exporter.endpoint import (
    ApiPath,
    EndpointState,
    Failure,
    Known,
    Moment,
    Unknown,
    failure_of,
    is_unknown,
    last_known,
    value_of,
)
from exporter.errors import SUCCESS, ApiError, Reason
from exporter.model import (
    LONGEST_LABEL_BYTES,
    ApiKey,
    Balance,
    GatewayStatus,
    KeyStatus,
    Listing,
    Subscriptions,
    Unread,
    UnusableReason,
    Usage,
    group_names,
    is_other_account,
)
from exporter.policies import NO_POLICIES, NOTHING_BROKEN, Broken, Judgement, Policies
from exporter.purses import largest, paying_purses, spendable
from exporter.thresholds import COMMON, NO_THRESHOLDS, Threshold, Thresholds

DEFAULT_UNITS_PER_USD = 500_000.0
UNUSED_AFTER_SECONDS = 7 * 86_400
MOST_LOST = 10
LARGEST_SHARE_LOST = 0.2
# A report names some; the metric has the number.
MOST_UNREAD = 20
STATUS_REASONS: Mapping[int, UnusableReason] = {
    KeyStatus.DISABLED: UnusableReason.DISABLED,
    KeyStatus.EXPIRED: UnusableReason.EXPIRED,
    KeyStatus.EXHAUSTED: UnusableReason.EXHAUSTED,
}
"""What a status that the API reports says by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One listing, and when reading it began.

    *is_suspicious* says that it lost so many keys, twice, that it may be a mistake of the gateway.
    """

    listing: Listing
    began: Moment
    is_suspicious: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every key that existed during the whole listing is in it, as far as is known."""
        return self.listing.is_complete and not self.is_suspicious

    @property
    def proves_absence(self) -> bool:
        """Whether a key that is not in the listing certainly no longer exists."""
        return self.listing.proves_absence and not self.is_suspicious


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """The keys of an account as they are shown after a listing.

    *keys* come newest first. *groups* maps each group to the monotonic second in which it last had
    a key, so that counts fall to zero before they go. *missing* maps the ids of keys that the last
    listing did not show, without proving them gone, to the monotonic second in which they were last
    seen. *skipped* counts keys that could not be read, *excluded* those that filters left out.
    *unread* names some of the fields that could not be read.
    *groups* has `OTHER_GROUPS` for those beyond `MOST_GROUPS`; *bounds* say what is beyond.
    *spent* says how keys have spent that spent anything, or appeared, since monotonic time
    *watched_since*; the other ones have spent nothing since then.
    *newest_id* is the highest id that a listing had, shown or not. *believed* is the list before
    suspicious listings, None where the last one was none.
    """

    keys: tuple[ApiKey, ...] = ()
    bounds: Bounds = NOTHING_BEYOND
    groups: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[int, float] = field(default_factory=dict)
    is_complete: bool = True
    skipped: int = 0
    excluded: int = 0
    unread: tuple[Unread, ...] = ()
    spent: Mapping[int, Spent] = field(default_factory=dict)
    watched_since: float = 0.0
    newest_id: int = 0
    believed: "KeyList | None" = None


NOTHING_READ = Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What is known of each endpoint of an account.

    The value of *groups* maps the groups open to the account to their price factors, None where a
    factor is not a number.
    """

    keys: EndpointState[KeyList] = NOTHING_READ
    balance: EndpointState[Balance] = NOTHING_READ
    status: EndpointState[GatewayStatus] = NOTHING_READ
    groups: EndpointState[Mapping[str, float | None]] = NOTHING_READ
    subscriptions: EndpointState[Subscriptions] = NOTHING_READ
    usage: EndpointState[Usage] = NOTHING_READ

    def by_path(self) -> dict[ApiPath, EndpointState[Any]]:
        """Return all by the path under which they are named in metrics and log lines."""
        return {path: getattr(self, name) for path, name in _NAMES.items()}

    def at(self, path: ApiPath) -> EndpointState[Any]:
        """Return what is known of the endpoint at *path*."""
        found: EndpointState[Any] = getattr(self, _NAMES[path])
        return found

    def changed(self, path: ApiPath, state: EndpointState[Any]) -> "Endpoints":
        """Return the same with *state* at *path*."""
        return replace(self, **{_NAMES[path]: state})


_NAMES: Mapping[ApiPath, str] = {
    ApiPath.KEYS: "keys",
    ApiPath.BALANCE: "balance",
    ApiPath.STATUS: "status",
    ApiPath.GROUPS: "groups",
    ApiPath.SUBSCRIPTIONS: "subscriptions",
    ApiPath.USAGE: "usage",
}
"""The attribute of `Endpoints` for each path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What is known of one account.

    *gateway* is its address. *configured_units_per_usd* is None where the user leaves the factor to
    the gateway. *thresholds* are the user's, *key_thresholds* those that match a key, by its ID:
    they are matched once a listing, because 200 thresholds and 50,000 keys are ten million pairs.
    So are *policies*; *judgements* say which of them a key breaks, by its ID.
    *monthly_budget_usd* is the account's own, None where there is none.
    With *counts_only* no series per key is exposed. *clock_skew* is how many seconds this machine's
    clock is ahead of the gateway's, *cached_seconds* how long a cache had kept the last page of
    keys. *first_refresh_ended* tells whether a refresh has ended, well
    or badly. *next_refresh_at* is a unix time. *is_exhausted* tells whether the account can pay for
    nothing more, whatever its keys have left. *spent* says how the account has spent since it is
    watched, *dryness* whether it has run dry, as far as that can be inferred. *changes*
    are what people changed about its keys.
    """

    name: str
    interval_seconds: float
    stale_after_seconds: float
    configured_units_per_usd: float | None = None
    gateway: str = ""
    thresholds: Thresholds = NO_THRESHOLDS
    key_thresholds: Mapping[int, Threshold] = field(default_factory=dict)
    policies: Policies = NO_POLICIES
    judgements: Mapping[int, Judgement] = field(default_factory=dict)
    monthly_budget_usd: float | None = None
    counts_only: bool = False
    endpoints: Endpoints = Endpoints()
    clock_skew: float | None = None
    cached_seconds: float = 0.0
    first_refresh_ended: bool = False
    next_refresh_at: float | None = None
    changes: ChangeHistory = NO_CHANGES
    spent: Spent | None = None
    # Computed once a state: they decide about every key.
    is_exhausted: bool = field(init=False)
    dryness: Dryness | None = field(init=False)

    def __post_init__(self) -> None:
        left = self.spendable_quota
        object.__setattr__(self, "is_exhausted", left is not None and left <= 0)
        object.__setattr__(self, "dryness", self._dryness())

    # How the state changes.

    def succeeded(self, reading: Reading) -> "AccountState":
        """Take over what a refresh listed; what denied its endpoint meanwhile is not offered.

        What was denied while the refreshes failed is asked for again first: it may have been denied
        to a rejected token or a banned account.
        """
        keys = merge(last_known(self.endpoints.keys), reading, self.stale_after_seconds)
        listed = replace(self.endpoints, keys=Known(keys, reading.began))
        if self.failing is None:
            believed = {
                each.name: endpoint.with_keys_listed(getattr(listed, each.name))
                for each in fields(listed)
            }
            listed = Endpoints(**believed)
        return replace(
            self,
            endpoints=listed,
            key_thresholds=self.thresholds.by_key(keys.keys),
            judgements=self.policies.by_key(keys.keys),
            first_refresh_ended=True,
        )

    def failed(self, error: ApiError, at: float) -> "AccountState":
        """Keep what was read before, and remember why the refreshes fail, and since when."""
        keys = endpoint.failed(self.endpoints.keys, error, at)
        return replace(self, endpoints=replace(self.endpoints, keys=keys), first_refresh_ended=True)

    def answered(self, path: ApiPath, value: object, read_at: Moment) -> "AccountState":
        """Take over what the endpoint at *path* said.

        A balance that is certainly another account's makes everything else unknown.
        """
        if isinstance(value, Balance) and is_other_account(self.account_id, value.account_id):
            endpoints = Endpoints(balance=Known(value, read_at))
            spent = seen(None, value.used_quota, read_at.monotonic)
            return replace(self, endpoints=endpoints, spent=spent)
        endpoints = self.endpoints.changed(path, Known(value, read_at))
        spent = self.spent
        if isinstance(value, Balance):
            spent = seen(spent, value.used_quota, read_at.monotonic)
        return replace(self, endpoints=endpoints, spent=spent)

    def not_offered(self, path: ApiPath) -> "AccountState":
        """Remember that the gateway does not have the endpoint at *path*."""
        return replace(self, endpoints=self.endpoints.changed(path, endpoint.NotOffered()))

    def endpoint_failed(self, path: ApiPath, error: ApiError, at: float) -> "AccountState":
        """Remember since which unix time the endpoint at *path* fails, and why."""
        state = endpoint.failed(self.endpoints.at(path), error, at)
        if self.lists_keys:
            state = endpoint.with_keys_listed(state)
        return replace(self, endpoints=self.endpoints.changed(path, state))

    def aged(self, now: Moment) -> "AccountState":
        """Stop showing every value that is older than stale-after.

        The same object where there is none.
        """
        aged = self.endpoints
        for path, state in self.endpoints.by_path().items():
            older = endpoint.aged(state, now, self.stale_after_seconds)
            if older is not state:
                aged = aged.changed(path, older)
        return self if aged is self.endpoints else replace(self, endpoints=aged)

    def without_keys(self, ids: Collection[int]) -> "AccountState":
        """Leave out the keys with these *ids*, and what they used."""
        found = self.endpoints
        keys, usage = last_known(found.keys), last_known(found.usage)
        if keys is not None:
            left = tuple(key for key in keys.value.keys if key.id not in ids)
            excluded = keys.value.excluded + len(keys.value.keys) - len(left)
            value = replace(keys.value, keys=left, excluded=excluded)
            found = replace(found, keys=endpoint.with_value(found.keys, value))
        if usage is not None:
            rows = tuple(row for row in usage.value.rows if row.key_id not in ids)
            month = usage.value.month
            if month is not None:
                month = tuple(row for row in month if row.key_id not in ids)
            counted = msgspec.structs.replace(usage.value, rows=rows, month=month)
            found = replace(found, usage=endpoint.with_value(found.usage, counted))
        return replace(self, endpoints=found)

    # What is known of each endpoint: the value to show, or None.

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """The keys to show."""
        return () if self._key_list is None else self._key_list.keys

    @property
    def key_groups(self) -> Mapping[str, float]:
        """The groups that have keys, or had some within stale-after."""
        return {} if self._key_list is None else self._key_list.groups

    @property
    def longest_label(self) -> int:
        """How many bytes of its name and group the labels of a key have at most."""
        # Read for each key: each reading of the property costs.
        bounds = self.bounds
        return LONGEST_LABEL_BYTES if bounds is None else bounds.longest_label

    @property
    def bounds(self) -> Bounds | None:
        """What of the names and groups of the keys is beyond the bounds, None without keys."""
        listed = self._key_list
        return None if listed is None else listed.bounds

    @property
    def balance(self) -> Balance | None:
        """The account's balance."""
        return value_of(self.endpoints.balance)

    @property
    def status(self) -> GatewayStatus | None:
        """What the gateway says of itself."""
        return value_of(self.endpoints.status)

    @property
    def open_groups(self) -> Mapping[str, float | None] | None:
        """The groups open to the account, with their price factors."""
        return value_of(self.endpoints.groups)

    @property
    def subscriptions(self) -> Subscriptions | None:
        """The running subscriptions, and how the account prefers to pay."""
        return value_of(self.endpoints.subscriptions)

    @property
    def usage(self) -> Usage | None:
        """What models cost."""
        return value_of(self.endpoints.usage)

    @property
    def _key_list(self) -> KeyList | None:
        return value_of(self.endpoints.keys)

    @property
    def _last_balance(self) -> Balance | None:
        known = last_known(self.endpoints.balance)
        return None if known is None else known.value

    # How the refreshes of the keys go.

    @property
    def account_id(self) -> int | None:
        """What tells this account from others of the same gateway, None where it is not known."""
        return None if self._last_balance is None else self._last_balance.account_id

    @property
    def lists_keys(self) -> bool:
        """Whether the last refresh could list the keys."""
        return isinstance(self.endpoints.keys, Known)

    @property
    def outcome(self) -> Reason | str:
        """How the last refresh ended: success or a reason; "" before the first."""
        if not self.first_refresh_ended:
            return ""
        if self.failing is not None:
            return self.failing
        known = last_known(self.endpoints.keys)
        return SUCCESS if known is None or known.value.is_complete else Reason.INCONSISTENT

    @property
    def failing(self) -> Reason | None:
        """Why the last refresh failed.

        None where keys came, even if the listing was inconsistent.
        """
        return None if self._failure is None else self._failure.reason

    @property
    def failing_since(self) -> float | None:
        """The unix time of the first of the refreshes that fail now."""
        return None if self._failure is None else self._failure.since

    @property
    def error(self) -> str:
        """The text of the last failure, which holds nothing that a gateway sent as free text."""
        return "" if self._failure is None else self._failure.text

    @property
    def _failure(self) -> Failure | None:
        return failure_of(self.endpoints.keys)

    @property
    def serves_data(self) -> bool:
        """Whether keys and counts may be shown: they were listed, within stale-after."""
        return self._key_list is not None

    @property
    def read_at(self) -> float | None:
        """When reading the last known keys began (unix time), None before the first success."""
        known = last_known(self.endpoints.keys)
        return None if known is None else known.read_at.unix

    @property
    def is_withdrawn(self) -> bool:
        """Whether keys are known and too old to be shown."""
        known = last_known(self.endpoints.keys)
        return known is not None and known.is_stale

    @property
    def skipped(self) -> int:
        """How many keys of the last listing could not be read."""
        known = last_known(self.endpoints.keys)
        return 0 if known is None else known.value.skipped

    @property
    def unread(self) -> tuple[Unread, ...]:
        """Some of the fields that the last listing could not read, those that cost a key first."""
        known = last_known(self.endpoints.keys)
        return () if known is None else known.value.unread

    @property
    def reads_no_key(self) -> bool:
        """Whether keys came with the last listing, and none of them could be read."""
        return self.lists_keys and self.skipped > 0 and not self.keys and not self.excluded

    @property
    def unread_of_endpoints(self) -> dict[ApiPath, tuple[str, ...]]:
        """The fields that could not be read beside the keys, by the path that returned them."""
        found: dict[ApiPath, tuple[str, ...]] = {}
        for path, state in self.endpoints.by_path().items():
            unread = getattr(value_of(state), "unread", ())
            if unread and path is not ApiPath.KEYS:
                found[path] = unread
        return found

    @property
    def excluded(self) -> int:
        """How many keys of the last listing filters left out."""
        known = last_known(self.endpoints.keys)
        return 0 if known is None else known.value.excluded

    # What follows from what is known.

    @property
    def quota_units_per_usd(self) -> float:
        """Quota units of one US dollar.

        The user's value, else the gateway's, else the family's default.
        """
        return self.configured_units_per_usd or self.reported_units_per_usd or DEFAULT_UNITS_PER_USD

    @property
    def reported_units_per_usd(self) -> float | None:
        """What the gateway said last of the units of a dollar, however old.

        A guess is no better.
        """
        known = last_known(self.endpoints.status)
        return None if known is None else known.value.quota_units_per_usd

    @property
    def endpoint_failures(self) -> Mapping[ApiPath, Failure]:
        """Why endpoints beside the keys fail, but for those that fail as the refreshes do."""
        found: dict[ApiPath, Failure] = {}
        for path, state in self.endpoints.by_path().items():
            failure = failure_of(state)
            if failure is None or path is ApiPath.KEYS:
                continue
            if failure.reason is not self.failing:
                found[path] = failure
        return found

    def usd(self, units: float) -> float:
        """Return the money that *units* of quota are."""
        return units / self.quota_units_per_usd

    @property
    def purses(self) -> Sequence[int | None]:
        """What is left in each purse that may pay for a request; None for no limit or unknown."""
        if is_unknown(self.endpoints.subscriptions):
            return [None]
        wallet = None
        # With gifts beside it, nobody knows how much pays for a request.
        if self.balance is not None and not self.balance.has_gifts:
            wallet = self.balance.remaining_quota
        return paying_purses(wallet, self.subscriptions)

    @property
    def spendable_quota(self) -> int | None:
        """What the account can still pay with in all.

        None where a subscription without limit pays, and where a purse that pays is not known: an
        empty wallet says nothing while a subscription may pay.
        """
        return spendable(self.purses)

    @property
    def largest_purse_quota(self) -> int | None:
        """What one request can cost at the most; None as for `spendable_quota`."""
        return largest(self.purses)

    def threshold(self, key: ApiKey) -> Threshold:
        """Return what the user set for warnings about *key*."""
        return self.key_thresholds.get(key.id, COMMON)

    def broken_policies(self, key: ApiKey, now: float) -> Broken:
        """Return the policies that *key* breaks at unix time *now*."""
        judgement = self.judgements.get(key.id)
        if judgement is None:
            return NOTHING_BROKEN
        return judgement.broken_by(key, now)

    def unusable_reason(self, key: ApiKey, now: float) -> UnusableReason | None:
        """Return why requests with *key* would be rejected at unix time *now*, or None.

        The gateway notes expiry and exhaustion only when a dead key is tried, so both are judged
        here again. It compares whole seconds, and serves a key through the second of its expiry.
        """
        if key.status != KeyStatus.ENABLED:
            return STATUS_REASONS.get(key.status, UnusableReason.UNKNOWN_STATUS)
        if key.expires_at is not None and key.expires_at + 1 <= now:
            return UnusableReason.EXPIRED
        if key.remaining_quota is not None and key.remaining_quota <= 0:
            return UnusableReason.EXHAUSTED
        return self._reason_of_account(key)

    def _reason_of_account(self, key: ApiKey) -> UnusableReason | None:
        """Return what stands in the way of a key with which nothing is wrong itself."""
        if self.failing is Reason.ACCOUNT_DISABLED:
            return UnusableReason.ACCOUNT_DISABLED
        if self.is_exhausted:
            return UnusableReason.ACCOUNT_EXHAUSTED
        if self.open_groups is not None and not _is_open(key.group, self.open_groups):
            return UnusableReason.GROUP_UNAVAILABLE
        return None

    def usable_keys(self, now: float) -> int:
        """Count the keys that can serve requests at unix time *now*, as far as is known."""
        return sum(self.unusable_reason(key, now) is None for key in self.keys)

    @property
    def usual_price(self) -> float | None:
        """What a typical request of the account costs, in quota units.

        None where that is not told.
        """
        if self.balance is None or not self.balance.requests or not self.balance.used_quota:
            return None
        return self.balance.used_quota / self.balance.requests

    def _dryness(self) -> Dryness | None:
        """Infer whether the account has run dry, though it is not empty."""
        left, known = self.largest_purse_quota, last_known(self.endpoints.balance)
        if left is None or left <= 0 or self.spent is None or known is None:
            return None
        price = self.usual_price
        return dryness(
            left, self.spent, known.read_at.monotonic, own_price=price, usual_price=price
        )

    def has_little_left(self, key: ApiKey, now: float) -> bool:
        """Whether *key* is usable, in use, and has less left than a typical request costs."""
        price = self.usual_price
        if price is None or key.remaining_quota is None or key.remaining_quota >= price:
            return False
        return self._is_in_use(key, now) and self.unusable_reason(key, now) is None

    def dryness_of(self, key: ApiKey, now: float) -> Dryness | None:
        """Infer whether *key*, which counts as usable, has run dry by itself or with its account.

        Rest is measured up to the last listing, so that no key seems to rest while refreshes fail.
        """
        if self.dryness is Dryness.PROBABLY:
            return self.dryness
        own = self._dryness_of_key(key, now)
        return self.dryness if own is None else own

    def _dryness_of_key(self, key: ApiKey, now: float) -> Dryness | None:
        listed = last_known(self.endpoints.keys)
        if listed is None or key.remaining_quota is None or not self._is_in_use(key, now):
            return None
        spent = listed.value.spent.get(key.id)
        if spent is None:
            spent = Spent(used=key.used_quota or 0, grew_at=listed.value.watched_since)
        return dryness(
            key.remaining_quota,
            spent,
            listed.read_at.monotonic,
            own_price=None,
            usual_price=self.usual_price,
        )

    @staticmethod
    def _is_in_use(key: ApiKey, now: float) -> bool:
        """Whether *key* has spent anything, and was used within a week."""
        if not key.used_quota or key.used_quota <= 0 or key.last_used_at is None:
            return False
        return now - key.last_used_at < UNUSED_AFTER_SECONDS

    def loses_too_many(self, listing: Listing) -> bool:
        """Return whether *listing* lost suspiciously many keys: all, or more than ten and a fifth.

        Keys that were missing before do not count, so the same response is believed the second
        time.
        """
        known = last_known(self.endpoints.keys)
        if known is None:
            return False
        before = known.value
        present = {key.id for key in listing.keys} | listing.unreadable | listing.excluded
        present |= before.missing.keys()
        lost = sum(key.id not in present for key in before.keys)
        if lost == len(before.keys):
            return lost > 0
        return lost > MOST_LOST and lost > len(before.keys) * LARGEST_SHARE_LOST


def _is_open(group: str, open_groups: Collection[str]) -> bool:
    """Whether a key of *group* may use one of *open_groups*.

    A group may name several, separated by commas: one that is open is enough. A key without a group
    uses the account's own.
    """
    if group in open_groups:
        return True
    named = [name for name in group_names(group) if name]
    return not named or any(name in open_groups for name in named)


def merge(before: Known[KeyList] | None, reading: Reading, stale_after_seconds: float) -> KeyList:
    """Decide which keys to show after *reading*.

    A key that is absent leaves at once where the listing proves it gone, else when the next listing
    does not show it either, and in any case when it was last seen longer than stale-after ago. An
    unreadable key stays as last read.
    """
    listing = reading.listing
    began = reading.began.monotonic
    known = KeyList() if before is None else before.value
    shown = {key.id: key for key in listing.keys}
    absent = [key for key in known.keys if key.id not in shown]
    shown.update((key.id, key) for key in absent if key.id in listing.unreadable)
    missing: dict[int, float] = {}
    if before is not None and not reading.proves_absence:
        last_seen = before.read_at.monotonic
        if began - last_seen < stale_after_seconds:
            kept = [key for key in absent if key.id not in known.missing and key.id not in shown]
            missing = dict.fromkeys((key.id for key in kept), last_seen)
            shown.update((key.id, key) for key in kept)
    keys = tuple(sorted(shown.values(), key=_newest_first))
    # The first listing only says from which level on keys are watched.
    spent = {} if before is None else _spending(known, listing, began)
    as_before = known.spent.keys() & (missing.keys() | listing.unreadable)
    spent.update((id_, known.spent[id_]) for id_ in as_before)
    newest_id = max(known.newest_id, *listing.unreadable, *listing.excluded, *shown, 0)
    believed = None
    if reading.is_suspicious:
        believed = known.believed or known
    groups = {**known.groups, **dict.fromkeys((key.group for key in keys), began)}
    recent = {group: at for group, at in groups.items() if at > began - stale_after_seconds}
    counted = counted_groups(recent, began)
    return KeyList(
        keys=keys,
        groups=counted,
        bounds=bounds_of(keys, counted),
        missing=missing,
        is_complete=reading.is_complete,
        skipped=listing.skipped,
        excluded=len(listing.excluded),
        unread=tuple(sorted(listing.unread, key=_costly_first)[:MOST_UNREAD]),
        spent=spent,
        watched_since=began if before is None else known.watched_since,
        newest_id=newest_id,
        believed=believed,
    )


def seen(spent: Spent | None, used: int | None, at: float) -> Spent | None:
    """Return what is known of spending after the level *used* was seen at monotonic time *at*."""
    if used is None:
        return spent
    if spent is None:
        return Spent(used=used, grew_at=at)
    return spent.seen(used, at)


def _spending(known: KeyList, listing: Listing, began: float) -> dict[int, Spent]:
    """Return how those listed keys have spent that spent or appeared since they are watched."""
    used_before = {key.id: key.used_quota for key in known.keys}
    found: dict[int, Spent] = {}
    for key in listing.keys:
        spent = known.spent.get(key.id)
        if spent is None and key.id in used_before:
            if key.used_quota == used_before[key.id]:
                continue
            spent = seen(None, used_before[key.id], known.watched_since)
        after = seen(spent, key.used_quota, began)
        if after is not None:
            found[key.id] = after
    return found


def _costly_first(unread: Unread) -> tuple[bool, int, str]:
    return not unread.costs_key, unread.key_id or 0, unread.field


def _newest_first(key: ApiKey) -> int:
    return -key.id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of every account, by name, in the order of the settings."""

    accounts: Mapping[str, AccountState] = field(default_factory=dict)

    @classmethod
    def of(cls, accounts: Iterable[AccountState]) -> "Snapshot":
        """Begin with *accounts*."""
        return cls({account.name: account for account in accounts})

    def with_account(self, account: AccountState) -> "Snapshot":
        """Return the same with the state of one account exchanged."""
        return Snapshot({**self.accounts, account.name: account})

    @property
    def is_ready(self) -> bool:
        """Whether every account's first refresh has ended, well or badly."""
        return all(account.first_refresh_ended for account in self.accounts.values())
