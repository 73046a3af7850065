"""Build what the exporter thinks in, saying only what a test is about; and a runtime whose time a test turns.

Pure: no real clock, no waiting. `NOW` is the unix time around which built keys live.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from exporter.cometapi.client import Dialect
from exporter.credentials import LiteralToken, Secret
from exporter.endpoint import ApiPath, Moment
from exporter.errors import ApiError, InvalidResponse, Reason
from exporter.model import (
    Amounts,
    ApiKey,
    Balance,
    BillingPreference,
    GatewayStatus,
    Listing,
    ListingProgress,
    RestrictionList,
    Series,
    Subscription,
    Subscriptions,
    Unread,
    Usage,
)
from exporter.settings.load import Account
from exporter.snapshot import AccountState, Reading, Snapshot
from exporter.thresholds import NO_THRESHOLDS, Threshold, Thresholds

NOW = 1_750_000_000
DAY = 86_400


A_LIST = RestrictionList(count=2, digest=7, allows_all=False)


def an_api_key(**over: Any) -> ApiKey:
    """Build a key: enabled, for ever, 1 USD left, without a group."""
    id_ = over.get("id", 1)
    facts: dict[str, Any] = {
        "id": 1,
        "name": f"key {id_}",
        "group": "",
        "status": 1,
        "remaining_quota": 500_000,
        "used_quota": 1_000,
        "expires_at": None,
        "created_at": NOW - 30 * DAY,
        "last_used_at": NOW - DAY,
        "model_limits": None,
        "ip_allowlist": None,
        "has_cross_group_retry": False,
    }
    return ApiKey(**(facts | over))


def keys(*ids: int) -> tuple[ApiKey, ...]:
    """Build keys with these ids."""
    return tuple(an_api_key(id=id_) for id_ in ids)


def a_balance(**over: Any) -> Balance:
    """Build an account's balance."""
    return Balance(
        **({"remaining_quota": 24_997_909, "used_quota": 10_027_091, "requests": 339} | over)
    )


def a_subscription(
    remaining: int | None = 1_000_000,
    *,
    preference: BillingPreference | None = BillingPreference.SUBSCRIPTION_FIRST,
    **over: Any,
) -> Subscriptions:
    """Build the subscriptions of an account that has one; *remaining* None is no limit."""
    one = Subscription(remaining_quota=remaining, **over)
    return Subscriptions(running=(one,), preference=preference)


def a_listing(
    *listed: ApiKey, unreadable: Iterable[int] = (), excluded: Iterable[int] = (), **over: Any
) -> Listing:
    """Build what a refresh reads: complete, and proof of absence unless told otherwise.

    Of *unreadable* keys the status could not be read.
    """
    costly = [Unread(field="status", key_id=key_id, costs_key=True) for key_id in unreadable]
    nameless = [Unread(field="id", costs_key=True)] if over.get("nameless") else []
    facts: dict[str, Any] = {"unread": frozenset([*costly, *nameless])}
    facts |= {"unreadable": frozenset(unreadable), "excluded": frozenset(excluded)}
    return Listing(keys=listed, **(facts | over))


def an_account(**over: Any) -> Account:
    """Build the settings of an account that is read every minute."""
    facts: dict[str, Any] = {
        "name": "main",
        "base_url": "https://gateway.example.org",
        "token": LiteralToken(Secret("CANARYtoken"), "COMETAPI_ACCESS_TOKEN"),
        "interval": 60.0,
        "timeout": 10.0,
        "stale_after": 3600.0,
        "concurrency": 4,
        "usage": "off",
        "usage_max_series": 9,
        "keys_max": 100_000,
        "keys_counts_only": False,
        "thresholds": NO_THRESHOLDS,
    }
    return Account(**(facts | over))


def a_state(*, thresholds: Sequence[Threshold] = (), **over: Any) -> AccountState:
    """Build an account before its first refresh."""
    facts: dict[str, Any] = {
        "thresholds": Thresholds(thresholds),
        "name": "main",
        "interval_seconds": 60.0,
        "stale_after_seconds": 3600.0,
        "configured_units_per_usd": 500_000.0,
    }
    return AccountState(**(facts | over))


def a_moment(at: float = NOW) -> Moment:
    """Build the moment that both clocks show as *at*."""
    return Moment(at, at)


def a_reading(listing: Listing, *, at: float = NOW, **over: Any) -> Reading:
    """Build what a refresh read from unix time *at* on; the monotonic clock shows the same."""
    return Reading(listing=listing, began=a_moment(at), **over)


def a_read_state(
    *listed: ApiKey,
    at: float = NOW,
    balance: Balance | None = None,
    status: GatewayStatus | None = None,
    groups: Mapping[str, float | None] | None = None,
    subscriptions: Subscriptions | None = None,
    usage: Usage | None = None,
    skipped: int = 0,
    excluded: int = 0,
    **over: Any,
) -> AccountState:
    """Build an account that was read at unix time *at*; the gateway does not offer what is None."""
    listing = a_listing(*listed, nameless=skipped, excluded=range(-excluded, 0))
    state = a_state(**over).succeeded(a_reading(listing, at=at))
    values: dict[ApiPath, Any] = {
        ApiPath.BALANCE: balance,
        ApiPath.STATUS: status,
        ApiPath.GROUPS: groups,
        ApiPath.SUBSCRIPTIONS: subscriptions,
        ApiPath.USAGE: usage,
    }
    for path, value in values.items():
        if value is None:
            state = state.not_offered(path)
        else:
            state = state.answered(path, value, a_moment(at))
    return state


def a_dry_state(**over: Any) -> AccountState:
    """Build an account whose one key spent 600 units at once 25 minutes ago, and has 90 left."""
    early = a_moment(NOW - 1_560)
    key = an_api_key(remaining_quota=690, used_quota=90_000, last_used_at=NOW - 1_500, **over)
    spent = msgspec.structs.replace(key, remaining_quota=90, used_quota=90_600)
    state = a_state()
    for moment, listed in ((early, key), (a_moment(NOW - 1_500), spent), (a_moment(), spent)):
        state = state.succeeded(Reading(listing=a_listing(listed), began=moment))
    return state


def withdrawn(state: AccountState) -> AccountState:
    """Build the same account after so long that everything known of it is stale."""
    return state.aged(a_moment(NOW + 100 * DAY))


def a_snapshot(*listed: ApiKey, at: float = NOW, **over: Any) -> Snapshot:
    """Build the snapshot of one account whose keys were read at unix time *at*."""
    return Snapshot.of([a_read_state(*listed, at=at, **over)])


@dataclass(kw_only=True)
class FakeRuntime:
    """Time that passes only where somebody sleeps; *on_sleep* is called in the middle of each sleep."""

    now: float = NOW
    ticks: float = 1_000.0
    luck: float = 0.5
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], object] = lambda _: None

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.ticks

    def moment(self) -> Moment:
        return Moment(self.now, self.ticks)

    def random(self) -> float:
        return self.luck

    def pass_by(self, seconds: float) -> None:
        """Let *seconds* go by."""
        self.now += seconds
        self.ticks += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep(seconds)
        self.pass_by(seconds)


def used(quota: int, *, model: str = "gpt-4o", key_id: int = 0) -> dict[Series, Amounts]:
    """Build what one request of *model* used: *quota* units, twice as many tokens."""
    series = Series(model=model, key_id=key_id)
    return {series: Amounts(quota=quota, tokens=2 * quota, requests=1)}


@dataclass(kw_only=True)
class FakeClient:
    """Answers each listing with the next of *listings*, the last for ever; an exception among them is raised.

    What else it answers is in *values*, by path, and in *usage*, by whether it is asked by key; an
    exception among them is raised. What is left out is not offered.
    """

    listings: list[Listing | Exception]
    values: dict[ApiPath, object] = field(default_factory=lambda: {ApiPath.BALANCE: a_balance()})
    usage: dict[bool, Mapping[Series, Amounts] | Exception] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=Dialect)
    tokens: list[str] = field(default_factory=list, repr=False)
    asked: list[ApiPath] = field(default_factory=list)
    usage_asked: list[tuple[int, int, bool]] = field(default_factory=list)
    on_list: Callable[[], object] = lambda: None
    is_closed: bool = False

    async def aclose(self) -> None:
        self.is_closed = True

    async def list_keys(
        self, token: Secret, *, progress: Callable[[ListingProgress], None]
    ) -> Listing:
        self.tokens.append(token.reveal())
        self.on_list()
        progress(ListingProgress(pages=1, expected=1))
        answer = self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]
        return _or_raise(answer)

    async def read_balance(self, _: Secret) -> Any:
        return self._value(ApiPath.BALANCE)

    async def read_status(self, _: Secret) -> Any:
        return self._value(ApiPath.STATUS)

    async def read_groups(self, _: Secret) -> Any:
        return self._value(ApiPath.GROUPS)

    async def read_subscriptions(self, _: Secret) -> Any:
        return self._value(ApiPath.SUBSCRIPTIONS)

    async def read_usage(
        self, _: Secret, first: int, last: int, *, by_key: bool
    ) -> Mapping[Series, Amounts]:
        self.usage_asked.append((first, last, by_key))
        return _or_raise(self.usage.get(by_key, not_offered()))

    def _value(self, path: ApiPath) -> Any:
        self.asked.append(path)
        return _or_raise(self.values.get(path, not_offered()))


def _or_raise(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def not_offered() -> ApiError:
    """Build the error of an endpoint that the gateway does not have."""
    return InvalidResponse("the gateway has no such path (HTTP 404)", denies_endpoint=True)


def failure(reason: Reason, text: str = "it went wrong") -> ApiError:
    """Build the error of *reason*."""
    kinds = {kind.reason: kind for kind in ApiError.__subclasses__()}
    return kinds.get(reason, ApiError)(text)
