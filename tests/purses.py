"""Pay for requests as a gateway does: reserve, choose a purse, reject, book.

Pure: times are arguments. The account, its keys and its subscriptions are plain dicts as the
gateway sends them, changed in place, so that a running `Gateway` shows each change at once:

    payer = Payer(keys=[a_wire_key(1)], subscriptions=[a_wire_subscription()])
    with Gateway(keys=payer.keys, account=payer.account, offers=payer.offers(clock)) as gateway:
        assert payer.request(1, clock(), estimate=1_501) == SERVED

What a gateway does here was seen on running ones: a request is served only where one single purse
can pay the whole estimate, and `accessed_time` moves whenever a key's quota is booked, be it back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from books import Books
from builders import a_wire_account
from gateway import GROUPS_PATH, SUBSCRIPTIONS_PATH

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
NEVER = -1
PREFERENCES = ("subscription_first", "wallet_first", "subscription_only", "wallet_only")

SERVED = "served"
PROVIDER_FAILED = "500 upstream_error"
INVALID_TOKEN = "401 Invalid token"
BANNED = "403 User has been banned"
NO_ACCESS_TO_GROUP = "403 no access to the group"
NO_ACCESS_TO_MODEL = "403 no access to the model"
KEY_IS_DRY = "403 pre_consume_token_quota_failed"
NOBODY_PAYS = "403 insufficient_user_quota"
"""How a request ends: served, or the status with which the gateway rejects it and why."""

Purse = dict[str, Any]


@dataclass(kw_only=True)
class Payer:
    """One account: its wallet (`account["quota"]`), its keys, subscriptions, groups and usage.

    *reset_every* is the seconds between two resets of a subscription, by its id; where it is
    missing none is reset. *marks_status*: the first use of a key that has expired or run out sets
    status 3 or 4, as on gateways without Redis; on the others no status ever changes by itself.
    """

    keys: list[dict[str, Any]] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=a_wire_account)
    subscriptions: list[Purse] = field(default_factory=list)
    reset_every: Mapping[int, int] = field(default_factory=dict)
    preference: str = PREFERENCES[0]
    groups: dict[str, Any] = field(default_factory=lambda: {"default": {"desc": "", "ratio": 1}})
    books: Books = field(default_factory=Books)
    marks_status: bool = True

    # What the gateway shows.

    def offers(self, clock: Callable[[], float]) -> dict[str, Any]:
        """Return what a `Gateway` offers of this account; *clock* gives unix seconds."""
        return self.books.offers() | {
            GROUPS_PATH: lambda _query: self.groups,
            SUBSCRIPTIONS_PATH: lambda _query: self.shown_subscriptions(clock()),
        }

    def shown_subscriptions(self, now: float) -> dict[str, Any]:
        """Return the data of /api/subscription/self: the running ones, and all."""
        self.let_time_pass(now)
        return {
            "billing_preference": self.preference,
            "subscriptions": [{"subscription": dict(each)} for each in self.running(now)],
            "all_subscriptions": [{"subscription": dict(each)} for each in self.subscriptions],
        }

    def let_time_pass(self, now: float) -> None:
        """End and reset the subscriptions that are due."""
        for each in self.subscriptions:
            if each["end_time"] <= now:
                each["status"] = "expired"
                continue
            pause = self.reset_every.get(each["id"])
            while pause is not None and 0 < each["next_reset_time"] <= now:
                each["amount_used"] = 0
                each["next_reset_time"] += pause

    def running(self, now: float) -> list[Purse]:
        """Return the subscriptions that run at *now*, the one that ends first in front."""
        started = [each for each in self.subscriptions if each["start_time"] <= now]
        active = [each for each in started if each["status"] == "active"]
        return sorted(
            (each for each in active if now < each["end_time"]), key=lambda each: each["end_time"]
        )

    # What clients do.

    def request(
        self,
        key_id: int,
        now: float,
        *,
        estimate: int,
        price: int | None = None,
        model: str = "small",
        provider_fails: bool = False,
    ) -> str:
        """Ask for one answer with a key and return how that ends.

        *estimate* is what the gateway reserves, *price* what the answer then costs (None: the
        estimate). A failed request of the provider is booked back in full.
        """
        self.let_time_pass(now)
        key = self._key(key_id)
        rejection = self._rejection(key, now, model)
        if rejection is not None:
            return rejection
        if not key["unlimited_quota"] and key["remain_quota"] < estimate:
            return KEY_IS_DRY
        purse = self._paying_purse(key, now, estimate)
        if purse is None:
            return NOBODY_PAYS
        key["accessed_time"] = int(now)
        if provider_fails:
            return PROVIDER_FAILED
        self._book(key, purse, now, model, estimate if price is None else price)
        return SERVED

    def _rejection(self, key: dict[str, Any] | None, now: float, model: str) -> str | None:
        """Check what needs no quota; nothing of this moves `accessed_time`."""
        if key is None or key["status"] != ENABLED:
            return INVALID_TOKEN
        ended = _status_at_the_end(key, now)
        if ended is not None:
            if self.marks_status:
                key["status"] = ended
            return INVALID_TOKEN
        if self.account["status"] != ENABLED:
            return BANNED
        if self.group_used(key) is None:
            return NO_ACCESS_TO_GROUP
        if key["model_limits_enabled"] and model not in key["model_limits"].split(","):
            return NO_ACCESS_TO_MODEL
        return None

    def group_used(self, key: dict[str, Any]) -> str | None:
        """Return the first of the key's groups that is open, None where none is.

        A key without a group uses the account's own. `auto` is open only where it is listed.
        """
        if not key["group"]:
            return self.account["group"]
        for name in key["group"].split(","):
            if name.strip() in self.groups:
                return name.strip()
        return None

    # Purses.

    def _paying_purse(self, key: dict[str, Any], now: float, estimate: int) -> Purse | None:
        """Choose the purse that can pay the whole estimate, None for none.

        A subscription that is tried and rejects has the key's quota booked there and back, which
        moves `accessed_time`; a wallet that rejects has not.
        """
        running = self.running(now)
        if self.preference == "wallet_only":
            return self._wallet(estimate)
        if self.preference == "wallet_first":
            return self._wallet(estimate) or self._subscription(key, running, now, estimate)
        if self.preference == "subscription_only":
            return self._subscription(key, running, now, estimate)
        paying = self._subscription(key, running, now, estimate)
        # One running subscription that does not allow it is enough to leave the wallet alone;
        # where none runs, the wallet pays.
        if paying is None and all(each["allow_wallet_overflow"] for each in running):
            return self._wallet(estimate)
        return paying

    def _wallet(self, estimate: int) -> Purse | None:
        quota = self.account["quota"]
        return self.account if quota > 0 and quota >= estimate else None

    def _subscription(
        self, key: dict[str, Any], running: list[Purse], now: float, estimate: int
    ) -> Purse | None:
        for each in running:
            if each["amount_total"] == 0 or each["amount_total"] - each["amount_used"] >= estimate:
                return each
        if running or self.preference == "subscription_only":
            key["accessed_time"] = int(now)
        return None

    def _book(self, key: dict[str, Any], purse: Purse, now: float, model: str, price: int) -> None:
        key["remain_quota"] -= price
        key["used_quota"] += price
        self.account["used_quota"] += price
        self.account["request_count"] += 1
        if purse is self.account:
            purse["quota"] -= price
        else:
            purse["amount_used"] += price
        group = self.group_used(key) or ""
        self.books.book(now, model, price, key_id=key["id"], key_name=key["name"], group=group)

    # What the owner and the operator do.

    def refund(self, key_id: int, now: float, quota: int) -> None:
        """Book *quota* back to the key and the wallet; `used_quota` falls, and the books stay."""
        key = self._known(key_id)
        key["remain_quota"] += quota
        key["used_quota"] -= quota
        key["accessed_time"] = int(now)
        self.account["quota"] += quota
        self.account["used_quota"] -= quota

    def top_up(self, key_id: int, quota: int) -> None:
        """Raise what a key has left; what it has spent, its times and its status stay."""
        self._known(key_id)["remain_quota"] += quota

    def change(self, key_id: int, **fields: Any) -> None:
        """Rename a key (`name=`), move it (`group=`), disable it (`status=2`) and the like."""
        self._known(key_id).update(fields)

    def delete(self, key_id: int) -> None:
        """Delete a key: it is listed no more, and its usage stays in the books."""
        self.keys.remove(self._known(key_id))

    def _key(self, key_id: int) -> dict[str, Any] | None:
        for key in self.keys:
            if key["id"] == key_id:
                return key
        return None

    def _known(self, key_id: int) -> dict[str, Any]:
        key = self._key(key_id)
        if key is None:
            raise LookupError(f"no key {key_id}")
        return key


def _status_at_the_end(key: dict[str, Any], now: float) -> int | None:
    """Return the status that fits a key past its expiry or without quota, None for any other key."""
    # A key serves through the second of its expiry.
    if key["expired_time"] != NEVER and key["expired_time"] < int(now):
        return EXPIRED
    if not key["unlimited_quota"] and key["remain_quota"] <= 0:
        return EXHAUSTED
    return None
