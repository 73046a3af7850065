"""Prove that requests are paid, rejected and booked as running gateways were seen to do it."""

import httpx
import pytest
from builders import CANARY_TOKEN, a_wire_account, a_wire_key, a_wire_subscription
from gateway import ACCOUNT_PATH, GROUPS_PATH, SUBSCRIPTIONS_PATH, USAGE_BY_KEY_PATH, Gateway
from purses import (
    BANNED,
    INVALID_TOKEN,
    KEY_IS_DRY,
    NO_ACCESS_TO_GROUP,
    NO_ACCESS_TO_MODEL,
    NOBODY_PAYS,
    PROVIDER_FAILED,
    SERVED,
    Payer,
)

NOW = 1_750_000_000.0
BEFORE = 1_749_000_000


def a_payer(*, key=None, wallet=0, subscriptions=(), **over):
    """Build an account with key 1 (1,000,000 units, in no group, last used BEFORE)."""
    fields = {"remain_quota": 1_000_000, "accessed_time": BEFORE} | (key or {})
    return Payer(
        keys=[a_wire_key(1, **fields)],
        account=a_wire_account(quota=wallet),
        subscriptions=list(subscriptions),
        **over,
    )


def moved(payer):
    return payer.keys[0]["accessed_time"] == NOW


def with_left(left, **over):
    """Build a subscription of 182,000 units of which *left* are unspent."""
    return a_wire_subscription(amount_total=182_000, amount_used=182_000 - left, **over)


def test_a_key_that_runs_dry_stays_positive_and_enabled():
    payer = a_payer(key={"remain_quota": 10_500, "used_quota": 0}, wallet=1_000_000)

    ends = [payer.request(1, NOW, estimate=1_501) for _ in range(7)]

    assert ends == [SERVED] * 6 + [KEY_IS_DRY]
    key = payer.keys[0]
    assert (key["status"], key["remain_quota"], key["used_quota"]) == (1, 1_494, 9_006)


def test_an_answer_that_costs_more_than_its_estimate_takes_a_key_below_zero():
    payer = a_payer(key={"remain_quota": 1_000}, wallet=1_000_000)

    assert payer.request(1, NOW, estimate=500, price=3_000) == SERVED
    assert (payer.keys[0]["remain_quota"], payer.keys[0]["status"]) == (-2_000, 1)
    assert payer.request(1, NOW, estimate=500) == INVALID_TOKEN
    assert payer.keys[0]["status"] == 4


def test_with_a_cache_a_status_never_changes_by_itself():
    payer = a_payer(key={"remain_quota": -3_000}, wallet=1_000_000, marks_status=False)

    assert payer.request(1, NOW, estimate=1) == INVALID_TOKEN
    assert payer.keys[0]["status"] == 1


def test_a_key_serves_through_the_second_of_its_expiry():
    payer = a_payer(key={"expired_time": int(NOW)}, wallet=1_000)

    assert payer.request(1, NOW + 0.9, estimate=1) == SERVED
    assert payer.keys[0]["status"] == 1
    assert payer.request(1, NOW + 1, estimate=1) == INVALID_TOKEN
    assert payer.keys[0]["status"] == 3


def test_an_unlimited_key_drifts_below_zero():
    payer = a_payer(key={"remain_quota": 0, "unlimited_quota": True}, wallet=1_000)

    assert payer.request(1, NOW, estimate=400) == SERVED
    assert payer.keys[0]["remain_quota"] == -400


@pytest.mark.parametrize("status", [2, 3, 4])
def test_only_an_enabled_key_is_served(status):
    payer = a_payer(key={"status": status}, wallet=1_000)

    assert payer.request(1, NOW, estimate=1) == INVALID_TOKEN


def test_a_banned_account_is_not_served():
    payer = a_payer(wallet=1_000)
    payer.account["status"] = 2

    assert payer.request(1, NOW, estimate=1) == BANNED


@pytest.mark.parametrize(
    ("group", "groups", "end"),
    [
        ("", {}, SERVED),
        ("vip", {"default": {}, "vip": {}}, SERVED),
        ("gone", {"default": {}}, NO_ACCESS_TO_GROUP),
        ("auto", {"default": {}}, NO_ACCESS_TO_GROUP),
        ("auto", {"default": {}, "auto": {"desc": "", "ratio": "自动"}}, SERVED),
        ("vip,default", {"default": {}}, SERVED),
        ("vip, default", {"default": {}}, SERVED),
        ("gone,vip", {"default": {}}, NO_ACCESS_TO_GROUP),
    ],
)
def test_a_key_works_while_one_of_its_groups_is_open(group, groups, end):
    payer = a_payer(key={"group": group}, wallet=1_000, groups=groups)

    assert payer.request(1, NOW, estimate=1) == end


def test_a_model_that_the_key_does_not_list_is_rejected():
    payer = a_payer(
        key={"model_limits_enabled": True, "model_limits": "small,medium"}, wallet=1_000
    )

    assert payer.request(1, NOW, estimate=1, model="medium") == SERVED
    assert payer.request(1, NOW, estimate=1, model="large") == NO_ACCESS_TO_MODEL


FULL = 50_000_000
BOTH = "subscription_first"


@pytest.mark.parametrize(
    ("preference", "wallet", "subscriptions", "estimate", "end"),
    [
        pytest.param(BOTH, 0, [with_left(5_000)], 5_000, SERVED, id="subscription pays"),
        pytest.param(BOTH, FULL, [with_left(2_000)], 5_000, SERVED, id="overflows to the wallet"),
        pytest.param(
            BOTH,
            FULL,
            [with_left(2_000, allow_wallet_overflow=False)],
            5_000,
            NOBODY_PAYS,
            id="no overflow",
        ),
        pytest.param(
            BOTH,
            FULL,
            [with_left(3_000), with_left(3_000, id=2, allow_wallet_overflow=False)],
            5_000,
            NOBODY_PAYS,
            id="one of two without overflow",
        ),
        pytest.param(
            BOTH, 0, [with_left(3_000), with_left(3_000, id=2)], 5_000, NOBODY_PAYS, id="3000+3000"
        ),
        pytest.param(BOTH, 2_000, [with_left(3_000)], 5_000, NOBODY_PAYS, id="2000+3000"),
        pytest.param(BOTH, FULL, [], 5_000, SERVED, id="none runs"),
        pytest.param(
            BOTH, 0, [a_wire_subscription(amount_total=0)], 5_000, SERVED, id="without limit"
        ),
        pytest.param("subscription_only", FULL, [], 5_000, NOBODY_PAYS, id="only, none runs"),
        pytest.param(
            "subscription_only", FULL, [with_left(2_000)], 5_000, NOBODY_PAYS, id="only, dry"
        ),
        pytest.param(
            "wallet_first",
            FULL,
            [with_left(0, allow_wallet_overflow=False)],
            5_000,
            SERVED,
            id="wallet first ignores the flag",
        ),
        pytest.param(
            "wallet_first", 10, [with_left(5_000)], 5_000, SERVED, id="wallet first, wallet dry"
        ),
        pytest.param("wallet_only", 10, [with_left(5_000)], 37, NOBODY_PAYS, id="wallet only"),
        pytest.param("wallet_only", 0, [], 0, NOBODY_PAYS, id="wallet empty"),
    ],
)
def test_one_purse_pays_the_whole_request(preference, wallet, subscriptions, estimate, end):
    payer = a_payer(
        wallet=wallet,
        subscriptions=[dict(each) for each in subscriptions],
        preference=preference,
    )

    assert payer.request(1, NOW, estimate=estimate) == end


@pytest.mark.parametrize(
    ("preference", "subscriptions", "moves"),
    [
        pytest.param("wallet_only", [], False, id="wallet"),
        pytest.param(BOTH, [], False, id="no subscription"),
        pytest.param(BOTH, [with_left(2_000)], True, id="subscription"),
        pytest.param("subscription_only", [with_left(2_000)], True, id="subscription only"),
        pytest.param("wallet_first", [with_left(2_000)], True, id="wallet first, both dry"),
    ],
)
def test_a_rejected_request_moves_the_last_used_time_only_where_a_subscription_is_tried(
    preference, subscriptions, moves
):
    payer = a_payer(
        wallet=2_000, subscriptions=[dict(each) for each in subscriptions], preference=preference
    )

    assert payer.request(1, NOW, estimate=5_000) == NOBODY_PAYS
    assert moved(payer) is moves
    assert payer.keys[0]["used_quota"] == 1_000


def test_a_dry_key_does_not_move_its_last_used_time_beside_a_subscription():
    payer = a_payer(key={"remain_quota": 2_000}, subscriptions=[with_left(100_000)])

    assert payer.request(1, NOW, estimate=5_000) == KEY_IS_DRY
    assert not moved(payer)


def test_a_subscription_pays_and_the_wallet_stays():
    payer = a_payer(wallet=7, subscriptions=[with_left(5_000)])
    payer.request(1, NOW, estimate=5_000)

    assert payer.account["quota"] == 7
    assert payer.subscriptions[0]["amount_used"] == 182_000
    assert payer.account["request_count"] == 340


def test_a_subscription_ends_by_itself():
    payer = a_payer(subscriptions=[with_left(5_000, end_time=int(NOW))])
    shown = payer.shown_subscriptions(NOW)

    assert shown["subscriptions"] == []
    assert shown["all_subscriptions"][0]["subscription"]["status"] == "expired"
    assert payer.request(1, NOW, estimate=1) == NOBODY_PAYS


def test_a_subscription_is_reset_by_itself():
    payer = a_payer(subscriptions=[with_left(0, next_reset_time=int(NOW))], reset_every={1: 86_400})

    assert payer.request(1, NOW - 1, estimate=5_000) == NOBODY_PAYS
    assert payer.request(1, NOW, estimate=5_000) == SERVED
    shown = payer.shown_subscriptions(NOW)["subscriptions"][0]["subscription"]
    assert (shown["amount_used"], shown["next_reset_time"]) == (5_000, int(NOW) + 86_400)


def test_a_failure_of_the_provider_moves_the_time_and_spends_nothing():
    payer = a_payer(wallet=1_000)

    assert payer.request(1, NOW, estimate=100, provider_fails=True) == PROVIDER_FAILED
    assert moved(payer)
    assert (payer.account["quota"], payer.keys[0]["used_quota"]) == (1_000, 1_000)


def test_a_refund_lowers_what_was_used():
    payer = a_payer(wallet=1_000)
    payer.refund(1, NOW, 300)

    assert (payer.keys[0]["used_quota"], payer.keys[0]["remain_quota"]) == (700, 1_000_300)
    assert payer.account["quota"] == 1_300


def test_a_top_up_leaves_what_was_used():
    payer = a_payer(key={"remain_quota": 10})
    payer.top_up(1, 500)

    assert (payer.keys[0]["remain_quota"], payer.keys[0]["used_quota"]) == (510, 1_000)


def test_a_deleted_key_is_listed_and_served_no_more():
    payer = a_payer(wallet=1_000)
    payer.delete(1)

    assert (payer.keys, payer.request(1, NOW, estimate=1)) == ([], INVALID_TOKEN)


def test_usage_has_the_name_of_then_and_the_group_that_was_used():
    payer = a_payer(wallet=1_000)
    payer.request(1, NOW, estimate=100)
    payer.change(1, name="renamed", group="vip,default")
    payer.request(1, NOW, estimate=200)
    payer.books.flush()

    rows = payer.books.by_key(0, int(NOW))
    assert [(row["token_name"], row["use_group"], row["quota"]) for row in rows] == [
        ("key 1", "default", 100),
        ("renamed", "default", 200),
    ]


def test_a_running_gateway_shows_what_is_spent():
    payer = a_payer(wallet=9_000, subscriptions=[with_left(5_000)])
    headers = {"Authorization": CANARY_TOKEN}
    with Gateway(
        keys=payer.keys, account=payer.account, offers=payer.offers(lambda: NOW)
    ) as gateway:
        payer.request(1, NOW, estimate=5_000)
        payer.request(1, NOW, estimate=4_000)
        payer.books.flush()

        def data(path):
            return httpx.get(gateway.url + path, headers=headers, trust_env=False).json()["data"]

        assert data("/api/token/")["items"][0]["used_quota"] == 10_000
        assert data(ACCOUNT_PATH)["quota"] == 5_000
        assert data(GROUPS_PATH) == {"default": {"desc": "", "ratio": 1}}
        shown = data(SUBSCRIPTIONS_PATH)["subscriptions"][0]["subscription"]
        assert shown["amount_used"] == 182_000
        hours = f"?start_timestamp={BEFORE}&end_timestamp={int(NOW)}"
        assert data(USAGE_BY_KEY_PATH + hours)[0]["quota"] == 9_000
