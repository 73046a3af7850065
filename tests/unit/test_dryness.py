"""Whether keys and accounts that died or rest are told apart, minute by minute.

A simulated account pays as gateways do, and the exporter's state sees it once a minute.
"""

import json

import pytest
from builders import a_wire_account, a_wire_key, a_wire_subscription
from domain import NOW, a_balance, a_listing, a_moment, a_reading, a_state, an_api_key, failure
from purses import KEY_IS_DRY, NOBODY_PAYS, SERVED, Payer

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_subscriptions
from exporter.dryness import Dryness, Spent
from exporter.endpoint import ApiPath
from exporter.errors import Reason
from exporter.site.verdict import Health, judge

PRICE = 5_000
MINUTE = 60


class Watched:
    """An account whose keys and purses are read once a minute."""

    def __init__(self, payer, *, is_seen=True):
        self.payer, self.now, self.state = payer, NOW - NOW % MINUTE, a_state()
        self.outcomes = []
        self.is_seen = is_seen
        self.read()

    def read(self):
        """Read everything as a refresh does."""
        if not self.is_seen:
            return
        keys = [
            an_api_key(
                id=key["id"],
                remaining_quota=None if key["unlimited_quota"] else key["remain_quota"],
                used_quota=key["used_quota"],
                last_used_at=key["accessed_time"],
            )
            for key in self.payer.keys
        ]
        account = self.payer.account
        balance = a_balance(
            remaining_quota=account["quota"],
            used_quota=account["used_quota"],
            requests=account["request_count"],
        )
        body = {"success": True, "data": self.payer.shown_subscriptions(self.now)}
        answer = Answer(status=200, headers={}, body=json.dumps(body).encode(), received_at=NOW)
        at = a_moment(self.now)
        state = self.state.succeeded(a_reading(a_listing(*keys), at=self.now))
        state = state.answered(ApiPath.BALANCE, balance, at)
        self.state = state.answered(ApiPath.SUBSCRIPTIONS, parse_subscriptions(answer), at)

    def run(self, minutes, *, every=0, price=PRICE, key_id=1):
        """Let *minutes* pass, with a request every *every* seconds, 0 for none."""
        for _ in range(minutes * MINUTE // 10):
            self.now += 10
            if every and self.now % every == 0:
                self.outcomes.append(self.payer.request(key_id, self.now, estimate=price))
            if self.now % MINUTE == 0:
                self.read()

    def restarted(self):
        """Forget what was seen, as a restart does."""
        self.state = a_state()
        self.read()

    def health(self, key_id=1):
        (key,) = [key for key in self.state.keys if key.id == key_id]
        return judge(self.state, key, self.now).health


def an_account_with(key, *, quota=10**9, used=4_727_000, requests=1_000, **over):
    """Build a watched account whose usual request costs 4,727 units."""
    account = a_wire_account(quota=quota, used_quota=used, request_count=requests)
    return Watched(Payer(keys=[a_wire_key(1, **key)], account=account, **over))


# Deaths.


@pytest.mark.parametrize(
    ("rest", "every"), [(2_000, 20), (25, 20), (3_000, 120)], ids=["2,000", "25", "a slow key"]
)
def test_a_key_that_ran_dry_is_probably_dry_25_minutes_after_its_last_request(rest, every):
    watched = an_account_with({"remain_quota": 12 * PRICE + rest, "used_quota": 90_000})
    watched.run(24, every=every)
    assert watched.outcomes[-1] in (KEY_IS_DRY, SERVED)
    watched.run(24, every=every)
    minutes = 0
    while watched.health() is not Health.PROBABLY_DRY and minutes < 30:
        watched.run(1, every=every)
        minutes += 1

    assert watched.outcomes[-1] == KEY_IS_DRY
    assert watched.state.dryness is None
    assert watched.health() is Health.PROBABLY_DRY


PURSES = {
    "wallet": {"quota": 12 * PRICE + 2_000},
    "subscription": {
        "quota": 0,
        "subscriptions": [a_wire_subscription(amount_total=12 * PRICE + 2_000)],
    },
    "subscription only": {
        "quota": 10**9,
        "preference": "subscription_only",
        "subscriptions": [a_wire_subscription(amount_total=12 * PRICE + 2_000)],
    },
    "no overflow": {
        "quota": 50_000_000,
        "subscriptions": [
            a_wire_subscription(amount_total=12 * PRICE + 2_000, allow_wallet_overflow=False)
        ],
    },
    "two purses": {
        "quota": 6 * PRICE + 2_000,
        "subscriptions": [a_wire_subscription(amount_total=6 * PRICE + 3_000)],
    },
}


@pytest.mark.parametrize("purses", PURSES.values(), ids=PURSES)
def test_an_account_that_ran_dry_makes_all_its_keys_probably_dry(purses):
    """A subscription that rejects moves the time of the last use, which proves nothing."""
    subscriptions = [dict(each) for each in purses.get("subscriptions", [])]
    watched = an_account_with(
        {"unlimited_quota": True}, **(purses | {"subscriptions": subscriptions})
    )
    watched.run(20, every=60)
    assert watched.outcomes[-1] == NOBODY_PAYS
    watched.run(24, every=60)

    assert watched.state.dryness is Dryness.PROBABLY
    assert watched.health() is Health.PROBABLY_DRY


# What looks alike.


@pytest.mark.parametrize(
    ("left", "price", "every"),
    [
        pytest.param(412_000, 5_000, 10, id="a finished batch job with 82 requests left"),
        pytest.param(20_000, 5_000, 70, id="a light key at night with four requests left"),
        pytest.param(4_400, 100, 20, id="a cheap key with 44 of its requests left"),
    ],
)
def test_a_key_that_rests_with_some_of_its_requests_left_is_not_dry(left, price, every):
    watched = an_account_with({"remain_quota": left + 200 * price, "used_quota": 0})
    while watched.payer.keys[0]["remain_quota"] > left:
        watched.run(1, every=every, price=price)
    watched.payer.keys[0]["remain_quota"] = left
    watched.run(120)

    assert watched.health() in (Health.OK, Health.WARNING, Health.CRITICAL)
    assert watched.state.dryness_of(watched.state.keys[0], watched.now) is None


def test_a_key_that_is_topped_up_is_dry_no_longer():
    watched = an_account_with({"remain_quota": 4 * PRICE + 2_000, "used_quota": 90_000})
    watched.run(40, every=60)
    assert watched.health() is Health.PROBABLY_DRY
    watched.payer.top_up(1, 10**6)
    watched.run(1)

    assert watched.health() is Health.OK


def test_a_refund_is_no_spending_and_ends_no_rest():
    watched = an_account_with({"remain_quota": 4 * PRICE + 2_000, "used_quota": 90_000})
    watched.run(10, every=60)
    watched.payer.refund(1, watched.now, 700)
    watched.run(26)

    assert watched.health() is Health.PROBABLY_DRY


# What is not known.


def test_after_a_restart_a_dead_key_is_not_called_dry_until_its_rest_was_seen():
    """Then what its own requests cost is not known: a warning."""
    watched = an_account_with({"remain_quota": 4 * PRICE + 2_000, "used_quota": 9_000})
    watched.run(60, every=60)
    watched.restarted()
    key = watched.state.keys[0]
    assert watched.state.dryness_of(key, watched.now) is None
    watched.run(24, every=60)
    assert watched.state.dryness_of(key, watched.now) is None
    watched.run(1, every=60)

    assert watched.state.dryness_of(key, watched.now) is Dryness.POSSIBLY
    assert watched.health() is Health.WARNING


def test_after_a_restart_a_dead_account_is_possibly_dry_when_its_rest_was_seen():
    watched = an_account_with({"unlimited_quota": True}, quota=4 * PRICE + 2_000)
    watched.run(60, every=60)
    watched.restarted()
    watched.run(25, every=60)

    assert watched.state.dryness is Dryness.POSSIBLY
    assert watched.health() is Health.WARNING


def test_while_refreshes_fail_nothing_seems_to_rest():
    watched = an_account_with({"remain_quota": 4 * PRICE + 2_000, "used_quota": 90_000})
    watched.run(10, every=60)
    watched.state = watched.state.failed(failure(Reason.TIMEOUT), watched.now)
    watched.is_seen = False
    watched.run(50)

    assert watched.health() is not Health.PROBABLY_DRY


def test_without_the_number_of_requests_nothing_is_known_of_a_key_that_never_spent():
    watched = an_account_with({"remain_quota": 5, "used_quota": 90_000}, requests=0)
    watched.run(60)

    assert watched.state.dryness_of(watched.state.keys[0], watched.now) is None


def test_keys_that_never_spend_while_they_are_watched_are_not_remembered():
    """So that 100,000 keys cost what those in use cost."""
    watched = Watched(Payer(keys=[a_wire_key(id_) for id_ in range(1, 50)]))
    watched.run(3, every=60, key_id=7)

    assert list(watched.state.endpoints.keys.value.spent) == [7]


@pytest.mark.parametrize(
    ("levels", "busy", "step"),
    [
        ([(0, 10), (60, 30)], 20, 20),
        ([(0, 10), (60, 30), (120, 33)], 23, 3),
        ([(0, 10), (60, 30), (960, 50), (1_020, 60)], 50, 10),
        ([(0, 10), (60, 30), (4_000, 50)], 20, 20),
        ([(0, 10), (60, 30), (120, 5), (180, 9)], 4, 4),
    ],
    ids=["one step", "two steps", "the next quarter", "after a long rest", "after a refund"],
)
def test_the_last_busy_quarter_and_the_smallest_step_are_remembered(levels, busy, step):
    (at, used), *later = levels
    spent = Spent(used=used, grew_at=at)
    for at, used in later:
        spent = spent.seen(used, at)

    assert (spent.last_busy_quarter, spent.smallest_step) == (busy, step)
