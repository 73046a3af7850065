"""Hold what is known of every account, and say how the end of a refresh changes it.

Pure: no HTTP, no clock (times are arguments), no metric. Everything is immutable: a change makes a
new `Snapshot`, and a reader of the old one is not disturbed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from exporter.errors import SUCCESS, ApiError, Reason
from exporter.filters import Threshold, threshold_of
from exporter.model import (
    ApiKey,
    Balance,
    Facts,
    KeyStatus,
    Listing,
    UnusableReason,
    Usage,
    is_other_account,
)

DEFAULT_UNITS_PER_USD = 500_000.0
DRY_AFTER_SECONDS = 25 * 60
UNUSED_AFTER_SECONDS = 7 * 86_400
MOST_LOST = 10
LARGEST_SHARE_LOST = 0.2
ALWAYS_OPEN_GROUPS = ("", "auto")
STATUS_REASONS: Mapping[int, UnusableReason] = {
    KeyStatus.DISABLED: UnusableReason.DISABLED,
    KeyStatus.EXPIRED: UnusableReason.EXPIRED,
    KeyStatus.EXHAUSTED: UnusableReason.EXHAUSTED,
}
"""What a status that the API reports says by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one refresh read of an account; *began_at* is when reading began in unix seconds, *began* in monotonic ones.

    *balance* and *usage* are None where the gateway reports none.
    """

    listing: Listing
    began_at: float
    began: float
    balance: Balance | None = None
    facts: Facts = field(default_factory=Facts)
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What is known of one account; times are unix seconds but for *read*, *groups* and *missing*, which are monotonic.

    *gateway* is its address. *read_at* is when reading the served keys began, None before the first
    success, *read* the same moment. *is_withdrawn* says that the data grew too old to be served.
    *outcome* is how the last refresh ended: success or a reason, "" before; *failing_since* when
    the trouble began; *error* the text of the last failure, which holds nothing that a gateway sent
    as free text. *clock_skew* is how many seconds this machine's clock is ahead of the gateway's.
    *groups* maps each group to when it last had a key, so that counts fall to zero before they go.
    *missing* maps ids that the last listing did not show, without proving them gone, to when they
    were last seen. *configured_units_per_usd* is None where the user leaves the factor to the
    gateway. *thresholds* are the user's, the first that matches a key applies; with *counts_only*
    no series per key is exposed.
    """

    name: str
    interval_seconds: float
    stale_after_seconds: float
    configured_units_per_usd: float | None = None
    gateway: str = ""
    keys: tuple[ApiKey, ...] = ()
    balance: Balance | None = None
    facts: Facts = field(default_factory=Facts)
    usage: Usage | None = None
    clock_skew: float | None = None
    read_at: float | None = None
    read: float | None = None
    is_withdrawn: bool = False
    outcome: Reason | str = ""
    failing_since: float | None = None
    error: str = ""
    skipped: int = 0
    excluded: int = 0
    groups: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[int, float] = field(default_factory=dict)
    next_refresh_at: float | None = None
    thresholds: tuple[Threshold, ...] = ()
    counts_only: bool = False

    def succeeded(self, reading: Reading) -> "AccountState":
        """Take over what a refresh read."""
        before = self
        if is_other_account(self.balance, reading.balance):
            before = replace(self, keys=(), groups={}, missing={})
        keys, missing = merge(before, reading.listing, reading.began)
        seen = {**before.groups, **dict.fromkeys((key.group for key in keys), reading.began)}
        oldest = reading.began - self.stale_after_seconds
        return replace(
            before,
            keys=keys,
            missing=missing,
            balance=reading.balance,
            facts=reading.facts,
            usage=reading.usage,
            read_at=reading.began_at,
            read=reading.began,
            is_withdrawn=False,
            outcome=SUCCESS if reading.listing.is_complete else Reason.INCONSISTENT,
            failing_since=None,
            error="",
            skipped=reading.listing.skipped,
            excluded=reading.listing.excluded,
            groups={group: at for group, at in seen.items() if at > oldest},
        )

    def failed(self, error: ApiError, at: float) -> "AccountState":
        """Keep what was read before, and remember since which unix time the refreshes fail, and why."""
        since = self.failing_since if self.failing is not None else at
        return replace(self, outcome=error.reason, failing_since=since, error=str(error))

    def withdrawn(self) -> "AccountState":
        """Stop serving the data, which grew too old."""
        return replace(self, is_withdrawn=True)

    @property
    def first_refresh_ended(self) -> bool:
        """Whether a refresh has ended, well or badly."""
        return self.outcome != ""

    @property
    def failing(self) -> Reason | None:
        """Why the last refresh failed; None where data came, even if it did not settle."""
        return (
            self.outcome
            if isinstance(self.outcome, Reason) and self.outcome is not Reason.INCONSISTENT
            else None
        )

    @property
    def serves_data(self) -> bool:
        """Whether keys, counts and account values may be shown: read once, and not withdrawn."""
        return self.read_at is not None and not self.is_withdrawn

    @property
    def quota_units_per_usd(self) -> float:
        """Quota units of one US dollar: the user's value, else the gateway's, else the family's default."""
        return (
            self.configured_units_per_usd or self.facts.quota_units_per_usd or DEFAULT_UNITS_PER_USD
        )

    def usd(self, units: float) -> float:
        """Return the money that *units* of quota are."""
        return units / self.quota_units_per_usd

    @property
    def spendable_quota(self) -> int | None:
        """What the account can still pay with, by its preference; None where it has no limit or none is reported."""
        wallet = None if self.balance is None else self.balance.remaining_quota
        paying = self.facts.subscriptions
        if paying is None or paying.preference == "wallet_only":
            return wallet
        if paying.preference == "subscription_only" or paying.remaining_quota is None:
            return paying.remaining_quota
        return None if wallet is None else max(wallet, 0) + paying.remaining_quota

    @property
    def is_exhausted(self) -> bool:
        """Whether the account can pay for nothing more, whatever its keys have left."""
        spendable = self.spendable_quota
        return spendable is not None and spendable <= 0

    def threshold(self, key: ApiKey) -> Threshold:
        """Return what the user set for warnings about *key*."""
        return threshold_of(key, self.thresholds)

    def unusable_reason(self, key: ApiKey, now: float) -> UnusableReason | None:
        """Return what stands in the way of a request with *key* at unix time *now*, None for nothing that is known.

        The gateway notes expiry and exhaustion only when a dead key is tried, so both are judged
        here again. It compares whole seconds, and serves a key through the second of its expiry.
        """
        if key.status != KeyStatus.ENABLED:
            return STATUS_REASONS.get(key.status, UnusableReason.UNKNOWN_STATUS)
        if key.expires_at is not None and key.expires_at + 1 <= now:
            return UnusableReason.EXPIRED
        if key.remaining_quota is not None and key.remaining_quota <= 0:
            return UnusableReason.EXHAUSTED
        if self.is_exhausted:
            return UnusableReason.ACCOUNT_EXHAUSTED
        open_groups = self.facts.groups
        if (
            open_groups is not None
            and key.group not in open_groups
            and key.group not in ALWAYS_OPEN_GROUPS
        ):
            return UnusableReason.GROUP_UNAVAILABLE
        return None

    def usable_keys(self, now: float) -> int:
        """Count the keys that can serve requests at unix time *now*, as far as is known."""
        return sum(self.unusable_reason(key, now) is None for key in self.keys)

    def is_probably_dry(self, key: ApiKey, now: float) -> bool:
        """Whether *key* seems refused for lack of quota although the gateway reports it as enabled.

        The gateway refuses a request whose estimated price exceeds what is left, so a dry key keeps
        a small rest for ever. Here less is left than a usual request costs, and nothing was spent
        for 25 minutes, but within a week.
        """
        if self.balance is None or not self.balance.requests:
            return False
        if key.remaining_quota is None or key.last_used_at is None or key.used_quota <= 0:
            return False
        usual_price = self.balance.used_quota / self.balance.requests
        is_resting = DRY_AFTER_SECONDS <= now - key.last_used_at < UNUSED_AFTER_SECONDS
        return (
            key.remaining_quota < usual_price
            and is_resting
            and self.unusable_reason(key, now) is None
        )

    def loses_too_many(self, listing: Listing, balance: Balance | None) -> bool:
        """Whether *listing* lacks so many keys that it may be a mistaken answer: all, or more than ten and a fifth.

        Keys that were missing before do not count, so the same answer is believed the second time.
        """
        if is_other_account(self.balance, balance):
            return False
        present = {key.id for key in listing.keys} | listing.unreadable | self.missing.keys()
        lost = sum(key.id not in present for key in self.keys)
        return lost > 0 and (
            lost == len(self.keys)
            or (lost > MOST_LOST and lost > len(self.keys) * LARGEST_SHARE_LOST)
        )


def merge(
    before: AccountState, listing: Listing, began: float
) -> tuple[tuple[ApiKey, ...], Mapping[int, float]]:
    """Decide which keys to show after *listing*, read from monotonic time *began*: (keys, newest first; the missing).

    A key that is absent leaves at once where the listing proves it gone, else when the next listing
    does not show it either, and in any case when it was last seen longer than stale-after ago. An
    unreadable key stays as last read.
    """
    shown = {key.id: key for key in listing.keys}
    absent = [key for key in before.keys if key.id not in shown]
    shown.update((key.id, key) for key in absent if key.id in listing.unreadable)
    missing: dict[int, float] = {}
    last_seen, is_proof = before.read, listing.proves_absence
    if not is_proof and last_seen is not None and began - last_seen < before.stale_after_seconds:
        kept = [key for key in absent if key.id not in before.missing and key.id not in shown]
        missing = dict.fromkeys((key.id for key in kept), last_seen)
        shown.update((key.id, key) for key in kept)
    return tuple(sorted(shown.values(), key=lambda key: -key.id)), missing


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
