"""Say which keys the demo's accounts have, and what each has left at a given moment.

Pure: no clock, no randomness; times are arguments. Knows nothing of the exporter: were both to
share what they know of the API, one misreading would agree with itself. The table is also what the
end-to-end tests expect to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType

HOUR = 3_600
DAY = 86_400

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4

CARELESS_PERIOD = 360
"""Seconds after which a script updates a key again and leaves out what it does not know."""
CARELESS_FROM, CARELESS_UNTIL = 180, 300
"""Seconds within each period in which nobody has repaired the key yet."""

OVERSHOOT = 250
"""Units that the last request takes beyond what a key had left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoKey:
    """One key at the start of the demo.

    Quotas are in quota units, *rate* in units a second; *expires_in* and *idle_for* are seconds
    from the start, None for never. A careless script clears the expiry and the addresses of a key
    that *is_updated_carelessly*, and somebody repairs it.
    """

    id: int
    name: str
    group: str = ""
    status: int = ENABLED
    remaining: int = 5_000_000
    used: int = 1_000_000
    rate: float = 0.0
    expires_in: int | None = None
    idle_for: int | None = 60
    age: int = 200 * DAY
    unlimited: bool = False
    models: str = ""
    addresses: str = ""
    cross_group_retry: bool = False
    is_updated_carelessly: bool = False

    def updated(self, elapsed: float) -> "DemoKey":
        """Return the key as its last update within the first *elapsed* seconds left it."""
        is_careless = CARELESS_FROM <= elapsed % CARELESS_PERIOD < CARELESS_UNTIL
        if not self.is_updated_carelessly or not is_careless:
            return self
        return replace(self, expires_in=None, addresses="")

    def spent(self, elapsed: float) -> int:
        """Return the units spent in the first *elapsed* seconds.

        A limited key stops a little below zero.
        """
        wanted = self.rate * self._alive(elapsed)
        return int(wanted if self.unlimited else min(wanted, self._spendable))

    def last_used(self, elapsed: float) -> float | None:
        """Return when the key last served, in seconds from the start; None for never."""
        if not self.rate:
            return None if self.idle_for is None else -self.idle_for
        serving = self._alive(elapsed)
        return serving if self.unlimited else min(serving, self._spendable / self.rate)

    @property
    def _spendable(self) -> int:
        return self.remaining + OVERSHOOT if self.remaining > 0 else 0

    def _alive(self, elapsed: float) -> float:
        """Return how many of the *elapsed* seconds lie between the start and the expiry."""
        return max(0.0, elapsed if self.expires_in is None else min(elapsed, self.expires_in))


NOTABLE: tuple[DemoKey, ...] = (
    DemoKey(
        id=1127,
        name="checkout-assistant",
        group="production",
        remaining=60_000_000,
        used=41_000_000,
        rate=420.0,
    ),
    DemoKey(
        id=1126,
        name="search-ranking",
        group="production",
        remaining=2_400_000,
        used=88_000_000,
        rate=650.0,
    ),
    DemoKey(
        id=1125,
        name="support-bot",
        group="production",
        remaining=9_000_000,
        rate=95.0,
        expires_in=5 * HOUR,
    ),
    DemoKey(
        id=1124,
        name="fraud-check",
        group="production",
        remaining=30_000_000,
        rate=140.0,
        expires_in=3 * DAY,
    ),
    DemoKey(
        id=1123,
        name="invoice-reader",
        group="production",
        rate=0.0,
        expires_in=-2 * DAY,
        idle_for=2 * DAY,
    ),
    DemoKey(
        id=1122,
        name="internal-tools",
        group="staging",
        unlimited=True,
        remaining=-3_200_000,
        rate=33.0,
    ),
    DemoKey(
        id=1121,
        name="load-test",
        group="staging",
        remaining=-1_250,
        used=5_001_250,
        idle_for=3 * HOUR,
    ),
    DemoKey(
        id=1120,
        name="translation",
        group="staging",
        remaining=0,
        used=5_000_000,
        status=EXHAUSTED,
        idle_for=DAY,
    ),
    DemoKey(
        id=1119,
        name="summer-campaign",
        group="staging",
        status=EXPIRED,
        expires_in=-40 * DAY,
        idle_for=41 * DAY,
    ),
    DemoKey(id=1118, name="former-contractor", group="staging", status=DISABLED, idle_for=6 * HOUR),
    DemoKey(id=1117, name="notebooks", group="research", remaining=12_000_000, rate=30.0),
    DemoKey(id=1116, name="notebooks", group="research", remaining=800_000, rate=4.0),
    DemoKey(
        id=1115,
        name="\u8bc4\u4f30\u96c6\u7fa4 \U0001f52c",
        group="research",
        remaining=7_000_000,
        rate=55.0,
    ),
    DemoKey(
        id=1114,
        name='says "hello" \\ goodbye',
        group="research",
        addresses="192.0.2.0/24\n198.51.100.7",
        rate=2.0,
    ),
    DemoKey(
        id=1113,
        name="archive-2024",
        group="",
        idle_for=120 * DAY,
        expires_in=500 * DAY,
        addresses="192.0.2.0/24\n198.51.100.7",
        is_updated_carelessly=True,
    ),
    DemoKey(
        id=1112,
        name="",
        used=0,
        idle_for=None,
        models="small-model,large-model",
        cross_group_retry=True,
    ),
    DemoKey(
        id=1111,
        name="batch-summaries",
        group="production",
        remaining=1_494,
        used=8_998_506,
        idle_for=2_400,
    ),
    DemoKey(id=1110, name="old-crawler", group="legacy", idle_for=2 * HOUR),
)
"""Key 1111 has run dry as keys do at real gateways: enabled, with less left than a request costs.

Key 1110 is in a group that the account cannot use any more.
"""


def _plain(number: int) -> DemoKey:
    """Return the *number*-th (from 1) of the many keys that nothing is wrong with."""
    return DemoKey(
        id=1000 + number,
        name=f"service-{number:03d}",
        group=("production", "staging", "research", "")[number % 4],
        remaining=20_000_000 + 37_000 * number,
        used=11_000 * number,
        rate=0.5 + number % 7,
        expires_in=(30 + number) * DAY if number % 3 == 0 else None,
        age=(330 - number) * DAY,
    )


KEYS: tuple[DemoKey, ...] = (*NOTABLE, *(_plain(number) for number in range(109, 0, -1)))
"""Every key, newest (highest id) first: two pages of a hundred."""


class Firewall(Enum):
    """What a firewall before the gateway answers in its place."""

    NOTHING = auto()
    BALANCE = auto()
    EVERYTHING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccount:
    """One account at the start of the demo.

    *quota* is what it has left and *used* what it has spent, in quota units; *groups* are those
    open to it, with their price factors.
    """

    name: str
    id: int
    keys: tuple[DemoKey, ...]
    groups: Mapping[str, float]
    quota: int
    used: int
    firewall: Firewall = Firewall.NOTHING

    def group_used(self, key: DemoKey) -> str | None:
        """Return the group that serves *key*.

        The first of its groups that is open, None for none.
        """
        if not key.group:
            return "default"
        for name in key.group.split(","):
            if name in self.groups:
                return name
        return None


DEMO = DemoAccount(
    name="demo",
    id=7,
    keys=KEYS,
    groups=MappingProxyType({"production": 1.0, "staging": 1.0, "research": 0.8}),
    quota=2_500_000_000,
    used=300_000_000,
)

PARTNER = DemoAccount(
    name="partner",
    id=8,
    keys=(
        DemoKey(id=2003, name="chat-widget", group="vip,default", remaining=90_000_000, rate=40.0),
        DemoKey(id=2002, name="newsletter", group="retired,vip", remaining=70_000_000, rate=3.0),
        DemoKey(id=2001, name="old-plugin", group="retired", idle_for=30 * DAY),
    ),
    groups=MappingProxyType({"default": 1.0, "vip": 0.8}),
    quota=400_000_000,
    used=20_000_000,
    firewall=Firewall.BALANCE,
)
"""An account whose balance is unknown, with keys of several groups."""

BLOCKED = DemoAccount(
    name="blocked",
    id=9,
    keys=(DemoKey(id=3001, name="edge-proxy", remaining=50_000_000, rate=20.0),),
    groups=MappingProxyType({"default": 1.0}),
    quota=100_000_000,
    used=5_000_000,
    firewall=Firewall.EVERYTHING,
)
"""An account of which nothing is ever known: a firewall rejects every request."""

ACCOUNTS: tuple[DemoAccount, ...] = (DEMO, PARTNER, BLOCKED)


def keys_at(started_at: float, now: float, account: DemoAccount = DEMO) -> list[dict[str, object]]:
    """Return every key as the API lists it at unix time *now*, newest first."""
    updated = [key.updated(now - started_at) for key in account.keys]
    return [_item(key, account, started_at, now) for key in updated]


def account_at(started_at: float, now: float, account: DemoAccount = DEMO) -> dict[str, object]:
    """Return the account as the API reports it at unix time *now*, personal data and all."""
    spent = sum(key.spent(now - started_at) for key in account.keys)
    return {
        "id": account.id,
        "username": account.name,
        "display_name": account.name.title(),
        "email": f"{account.name}@example.invalid",
        "role": 1,
        "status": 1,
        "group": "default",
        "quota": account.quota - spent,
        "used_quota": account.used + spent,
        "request_count": 48_000 + spent // 900,
    }


def _item(key: DemoKey, account: DemoAccount, started_at: float, now: float) -> dict[str, object]:
    spent = key.spent(now - started_at)
    last_used = key.last_used(now - started_at)
    created = int(started_at - key.age)
    return {
        "id": key.id,
        "user_id": account.id,
        "key": f"demo{key.id:044d}",
        "status": key.status,
        "name": key.name,
        "created_time": created,
        "accessed_time": created if last_used is None else int(started_at + last_used),
        "expired_time": -1 if key.expires_in is None else int(started_at + key.expires_in),
        "remain_quota": key.remaining - spent,
        "unlimited_quota": key.unlimited,
        "model_limits_enabled": bool(key.models),
        "model_limits": key.models,
        "allow_ips": key.addresses or None,
        "used_quota": key.used + spent,
        "group": key.group,
        "cross_group_retry": key.cross_group_retry,
    }
