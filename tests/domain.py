"""Build what the exporter thinks in, saying only what a test is about; and a world whose time a test turns.

Pure: no real clock, no waiting. `NOW` is the unix time around which built keys live.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.credentials import LiteralToken, Secret
from exporter.errors import ApiError, Reason
from exporter.model import Amounts, ApiKey, Balance, Facts, Listing, Series
from exporter.settings.load import Account
from exporter.snapshot import AccountState, Reading, Snapshot

NOW = 1_750_000_000
DAY = 86_400


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
        "has_model_limits": False,
        "has_ip_allowlist": False,
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


def a_listing(*listed: ApiKey, unreadable: Iterable[int] = (), **over: Any) -> Listing:
    """Build what a refresh reads: complete, and proof of absence unless told otherwise."""
    return Listing(keys=listed, unreadable=frozenset(unreadable), **over)


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
        "thresholds": (),
    }
    return Account(**(facts | over))


def a_state(**over: Any) -> AccountState:
    """Build an account before its first refresh."""
    facts: dict[str, Any] = {
        "name": "main",
        "interval_seconds": 60.0,
        "stale_after_seconds": 3600.0,
        "configured_units_per_usd": 500_000.0,
    }
    return AccountState(**(facts | over))


def a_reading(listing: Listing, *, at: float = NOW, **over: Any) -> Reading:
    """Build what a refresh read from unix time *at* on; the monotonic clock shows the same."""
    return Reading(**({"listing": listing, "began_at": at, "began": at} | over))


def a_read_state(
    *listed: ApiKey,
    at: float = NOW,
    balance: Balance | None = None,
    facts: Facts | None = None,
    **over: Any,
) -> AccountState:
    """Build an account whose keys were read at unix time *at*."""
    return a_state(**over).succeeded(
        a_reading(a_listing(*listed), at=at, balance=balance, facts=facts or Facts())
    )


def a_snapshot(*listed: ApiKey, at: float = NOW, **over: Any) -> Snapshot:
    """Build the snapshot of one account whose keys were read at unix time *at*."""
    return Snapshot.of([a_read_state(*listed, at=at, **over)])


@dataclass(kw_only=True)
class FakeWorld:
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

    def chance(self) -> float:
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
class FakeReader:
    """Answers each listing with the next of *listings*, the last for ever; an exception among them is raised."""

    listings: list[Listing | Exception]
    balance: Balance | Exception = field(default_factory=a_balance)
    facts: Facts | Exception = field(default_factory=Facts)
    usage: dict[bool, Mapping[Series, Amounts] | Exception | None] = field(default_factory=dict)
    clock_skew: float | None = None
    tokens: list[str] = field(default_factory=list, repr=False)
    usage_asked: list[tuple[int, int, bool]] = field(default_factory=list)
    on_list: Callable[[], object] = lambda: None
    is_closed: bool = False

    async def aclose(self) -> None:
        self.is_closed = True

    async def list_keys(self, token: Secret, *, progress: Callable[[], None]) -> Listing:
        self.tokens.append(token.reveal())
        self.on_list()
        progress()
        answer = self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def read_balance(self, _: Secret) -> Balance:
        if isinstance(self.balance, Exception):
            raise self.balance
        return self.balance

    async def read_facts(self, _: Secret) -> Facts:
        if isinstance(self.facts, Exception):
            raise self.facts
        return self.facts

    async def read_usage(
        self, _: Secret, first: int, last: int, *, by_key: bool
    ) -> Mapping[Series, Amounts] | None:
        self.usage_asked.append((first, last, by_key))
        answer = self.usage.get(by_key)
        if isinstance(answer, Exception):
            raise answer
        return answer


def failure(reason: Reason, text: str = "it went wrong") -> ApiError:
    """Build the error of *reason*."""
    kinds = {kind.reason: kind for kind in ApiError.__subclasses__()}
    return kinds.get(reason, ApiError)(text)
