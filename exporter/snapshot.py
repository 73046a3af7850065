"""Hold what is known of every account, and say how a refresh's end changes it.

Pure: no HTTP, no clock (the time is an argument), no metric. Everything is immutable: a change makes a new
`Snapshot`, and whoever holds the old one goes on with it undisturbed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from exporter.errors import Reason
from exporter.model import ApiKey, Balance, Listing, by_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What is known of one account; times are unix seconds.

    *read_at* is when the served keys were read, None before the first success. *failing* is the reason of the last
    refresh, None where it succeeded; *failing_since* when that trouble began. *groups* are all groups seen since the
    start, so that counts fall to zero instead of vanishing. *missing* are ids that an unverifiable listing did not
    show once; a second time drops them.
    """

    name: str
    interval_seconds: float
    stale_after_seconds: float
    quota_units_per_usd: float
    keys: tuple[ApiKey, ...] = ()
    balance: Balance | None = None
    read_at: float | None = None
    first_refresh_ended: bool = False
    failing: Reason | None = None
    failing_since: float | None = None
    skipped: int = 0
    groups: frozenset[str] = frozenset()
    missing: frozenset[int] = frozenset()
    next_refresh_at: float | None = None

    def succeeded(self, listing: Listing, balance: Balance | None, at: float) -> "AccountState":
        """Take over what a refresh read at unix time *at*."""
        keys, missing = merge(self, listing)
        return replace(
            self,
            keys=keys,
            missing=missing,
            balance=balance,
            read_at=at,
            first_refresh_ended=True,
            failing=None,
            failing_since=None,
            skipped=listing.skipped,
            groups=self.groups.union(key.group for key in keys),
        )

    def failed(self, reason: Reason, at: float) -> "AccountState":
        """Keep what was read before, and remember that (and since when) the refreshes fail."""
        since = self.failing_since if self.failing is not None else at
        return replace(self, first_refresh_ended=True, failing=reason, failing_since=since)

    def serves_data(self, now: float) -> bool:
        """Whether keys, counts and balance may be shown at unix time *now*: read once, and not past stale-after."""
        return self.stale_at is not None and now < self.stale_at

    @property
    def stale_at(self) -> float | None:
        """The unix time past which the data is withdrawn; None while there is none."""
        return None if self.read_at is None else self.read_at + self.stale_after_seconds


def merge(before: AccountState, listing: Listing) -> tuple[tuple[ApiKey, ...], frozenset[int]]:
    """Decide which keys to show after *listing*: (keys, newest first; ids missed for the first time).

    A key leaves only by proof: a settled listing of a gateway that names totals does not have it, or two settled
    listings running of a gateway that names none. An unreadable key is shown as it was last read.
    """
    shown = by_id(listing.keys)
    absent = {key.id: key for key in before.keys if key.id not in shown}
    missed = frozenset(absent) - listing.unreadable
    if not listing.settled:
        kept, missing = frozenset(absent), before.missing & absent.keys()
    elif not listing.verified:
        missing = missed - before.missing
        kept = missing | (listing.unreadable & absent.keys())
    else:
        kept, missing = listing.unreadable & absent.keys(), frozenset()
    shown.update((key_id, absent[key_id]) for key_id in kept)
    return tuple(sorted(shown.values(), key=lambda key: -key.id)), missing


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of every account, by name, in the order of the settings."""

    accounts: Mapping[str, AccountState] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, accounts: Iterable[AccountState]) -> "Snapshot":
        """Begin with *accounts*."""
        return cls(MappingProxyType({account.name: account for account in accounts}))

    def with_account(self, account: AccountState) -> "Snapshot":
        """Return the same with the state of one account exchanged."""
        return Snapshot(MappingProxyType({**self.accounts, account.name: account}))

    @property
    def is_ready(self) -> bool:
        """Whether every account's first refresh has ended, well or badly."""
        return all(account.first_refresh_ended for account in self.accounts.values())
