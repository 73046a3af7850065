"""How a refresh's end changes what is known of an account."""

import dataclasses

import pytest
from domain import (
    NOW,
    a_balance,
    a_listing,
    a_moment,
    a_read_state,
    a_reading,
    a_state,
    a_subscription,
    an_api_key,
    failure,
    keys,
    not_offered,
    withdrawn,
)

from exporter.endpoint import ApiPath, Known, NotOffered, Unknown
from exporter.errors import Reason
from exporter.model import BillingPreference, GatewayStatus, Subscriptions, UnusableReason, Usage
from exporter.snapshot import Endpoints, Snapshot


def ids(state):
    return [key.id for key in state.keys]


def after(state, *listings, at=NOW + 60):
    for listing in listings:
        state = state.succeeded(a_reading(listing, at=at))
    return state


def test_a_success_replaces_keys_and_time():
    state = after(a_read_state(*keys(1, 2)), a_listing(*keys(3, 2)))

    assert ids(state) == [3, 2]
    assert (state.read_at, state.first_refresh_ended) == (NOW + 60, True)


def test_keys_are_shown_newest_first_and_of_two_with_one_id_the_later():
    state = a_read_state(*keys(2, 9, 5), an_api_key(id=9, name="later"))

    assert [(key.id, key.name) for key in state.keys] == [(9, "later"), (5, "key 5"), (2, "key 2")]


def test_a_failed_refresh_keeps_the_last_keys_and_their_time():
    state = a_read_state(*keys(7), balance=a_balance()).failed(failure(Reason.TIMEOUT), NOW + 60)

    assert ids(state) == [7]
    assert (state.read_at, state.failing, state.failing_since) == (NOW, Reason.TIMEOUT, NOW + 60)
    assert state.balance == a_balance()


def test_trouble_goes_on_since_it_began_whatever_its_reason_until_a_success():
    states = [a_state().failed(failure(Reason.TIMEOUT), NOW)]
    states.append(states[-1].failed(failure(Reason.UNAUTHORIZED), NOW + 60))
    states.append(after(states[-1], a_listing()))
    states.append(states[-1].failed(failure(Reason.TIMEOUT), NOW + 120))

    assert [(state.failing, state.failing_since) for state in states] == [
        (Reason.TIMEOUT, NOW),
        (Reason.UNAUTHORIZED, NOW),
        (None, None),
        (Reason.TIMEOUT, NOW + 120),
    ]


@pytest.mark.parametrize(("seconds", "groups"), [(3599, {"vip", ""}), (3600, {""})])
def test_a_group_without_keys_stays_known_for_stale_after(seconds, groups):
    state = after(
        a_read_state(an_api_key(group="vip")), a_listing(an_api_key(group="")), at=NOW + seconds
    )

    assert state.key_groups.keys() == groups


def test_data_is_served_from_the_first_success_until_it_is_withdrawn_and_again_after_the_next():
    new, read = a_state().failed(failure(Reason.TIMEOUT), NOW), a_read_state(*keys(1))
    again = after(withdrawn(read), a_listing(*keys(1)))

    assert [state.serves_data for state in (new, read, withdrawn(read), again)] == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("configured", "reported", "units"),
    [(7.0, 9.0, 7.0), (None, 9.0, 9.0), (None, None, 500_000.0)],
)
def test_the_users_factor_wins_then_the_gateways_then_the_familys(configured, reported, units):
    state = a_read_state(
        configured_units_per_usd=configured, status=GatewayStatus(quota_units_per_usd=reported)
    )

    assert state.quota_units_per_usd == units


def test_the_gateways_factor_holds_however_old_it_is():
    """No guess is better: /api/status alone may fail for days."""
    state = a_read_state(
        configured_units_per_usd=None, status=GatewayStatus(quota_units_per_usd=1_000.0)
    )
    failing = state.endpoint_failed(ApiPath.STATUS, failure(Reason.BLOCKED), NOW)

    assert withdrawn(failing).quota_units_per_usd == 1_000.0


def paying(remaining, preference):
    return a_subscription(remaining, preference=BillingPreference(preference))


@pytest.mark.parametrize(
    ("wallet", "subscriptions", "spendable"),
    [
        pytest.param(None, None, None, id="nothing reported"),
        pytest.param(50, None, 50, id="the wallet alone"),
        pytest.param(50, paying(7, "wallet_only"), 50, id="the wallet only"),
        pytest.param(50, paying(7, "subscription_only"), 7, id="the subscription only"),
        pytest.param(50, paying(7, "subscription_first"), 57, id="both"),
        pytest.param(
            -5,
            paying(7, "wallet_first"),
            7,
            id="an overdrawn wallet takes nothing from a subscription",
        ),
        pytest.param(
            0, paying(None, "subscription_first"), None, id="a subscription without limit"
        ),
        pytest.param(
            None, paying(7, "subscription_first"), None, id="a wallet that is not reported"
        ),
    ],
)
def test_what_the_account_can_spend_follows_its_preference(wallet, subscriptions, spendable):
    balance = None if wallet is None else a_balance(remaining_quota=wallet)
    state = a_read_state(balance=balance, subscriptions=subscriptions)

    assert state.spendable_quota == spendable


@pytest.mark.parametrize(
    ("wallet", "groups", "facts", "reason"),
    [
        pytest.param(None, None, {}, None, id="enabled, for ever, quota left"),
        pytest.param(None, None, {"status": 2}, "disabled", id="disabled"),
        pytest.param(None, None, {"status": 3}, "expired", id="expired as reported by the API"),
        pytest.param(None, None, {"status": 4}, "exhausted", id="exhausted as reported by the API"),
        pytest.param(None, None, {"status": 9}, "unknown_status", id="a status that is not known"),
        pytest.param(None, None, {"status": 0}, "unknown_status", id="no status"),
        pytest.param(None, None, {"expires_at": NOW}, None, id="in the second of its expiry"),
        pytest.param(None, None, {"expires_at": NOW - 1}, "expired", id="past its expiry"),
        pytest.param(None, None, {"remaining_quota": 1}, None, id="one unit left"),
        pytest.param(None, None, {"remaining_quota": 0}, "exhausted", id="nothing left"),
        pytest.param(
            None,
            None,
            {"remaining_quota": -5, "expires_at": NOW - 1},
            "expired",
            id="the expiry comes first",
        ),
        pytest.param(None, None, {"remaining_quota": None}, None, id="unlimited"),
        pytest.param(10, None, {}, None, id="nothing known stands in the way"),
        pytest.param(0, None, {}, "account_exhausted", id="an empty wallet"),
        pytest.param(0, None, {"status": 2}, "disabled", id="the key's own reason comes first"),
        pytest.param(
            10, {"vip": 2.0}, {"group": "gone"}, "group_unavailable", id="a group that is not open"
        ),
        pytest.param(10, {"vip": 2.0}, {"group": "vip"}, None, id="an open group"),
        pytest.param(10, {}, {"group": ""}, None, id="no group chosen"),
        pytest.param(10, {}, {"group": "auto"}, "group_unavailable", id="auto, not listed"),
        pytest.param(10, {"auto": None}, {"group": "auto"}, None, id="auto, listed"),
        pytest.param(10, {"vip": 1.0}, {"group": "default,vip"}, None, id="one of two is open"),
        pytest.param(10, {"vip": 1.0}, {"group": "x , vip ,"}, None, id="blanks around it"),
        pytest.param(10, {"a": 1.0}, {"group": "b, c"}, "group_unavailable", id="neither is"),
        pytest.param(10, {"a, b": 1.0}, {"group": "a, b"}, None, id="a comma in a name"),
        pytest.param(10, {"vip": 1.0}, {"group": " , "}, None, id="commas alone"),
    ],
)
def test_a_request_fails_by_what_is_wrong_with_the_key_else_with_its_account(
    wallet, groups, facts, reason
):
    balance = None if wallet is None else a_balance(remaining_quota=wallet)
    state = a_read_state(balance=balance, groups=groups)

    assert state.unusable_reason(an_api_key(**facts), NOW) == reason


def test_another_account_behind_the_token_makes_everything_known_forgotten():
    state = a_read_state(
        *keys(1, 2), balance=a_balance(account_id=7), groups={"vip": 1.0}, usage=Usage()
    )
    other = state.answered(ApiPath.BALANCE, a_balance(account_id=8), a_moment(NOW + 60))

    assert other.balance == a_balance(account_id=8)
    assert (other.keys, other.key_groups, other.open_groups, other.usage) == ((), {}, None, None)
    assert other.first_refresh_ended


@pytest.mark.parametrize("account_id", [7, None])
def test_the_same_account_or_one_without_an_id_keeps_everything(account_id):
    state = a_read_state(*keys(1, 2), balance=a_balance(account_id=7), groups={"vip": 1.0})
    again = state.answered(ApiPath.BALANCE, a_balance(account_id=account_id), a_moment(NOW + 60))

    assert (ids(again), again.open_groups) == ([2, 1], {"vip": 1.0})


@pytest.mark.parametrize(
    ("before", "left", "is_suspicious"),
    [
        pytest.param(1, 0, True, id="the only key"),
        pytest.param(50, 0, True, id="all keys"),
        pytest.param(50, 40, False, id="ten of fifty"),
        pytest.param(50, 39, True, id="eleven of fifty"),
        pytest.param(100, 80, False, id="a fifth"),
        pytest.param(100, 79, True, id="more than a fifth"),
        pytest.param(0, 0, False, id="there was none"),
    ],
)
def test_a_listing_that_loses_all_or_a_fifth_and_more_than_ten_is_suspicious(
    before, left, is_suspicious
):
    state = a_read_state(*keys(*range(before)))

    assert state.loses_too_many(a_listing(*keys(*range(left)))) is is_suspicious


def test_what_was_missing_before_is_not_suspicious_again():
    state = after(a_read_state(*keys(*range(50))), a_listing(is_complete=False))

    assert not state.loses_too_many(a_listing())


def test_a_suspicious_listing_is_inconsistent_and_drops_no_key():
    reading = a_reading(a_listing(), at=NOW + 60, is_suspicious=True)
    state = a_read_state(*keys(1, 2)).succeeded(reading)

    assert (ids(state), state.outcome, state.failing) == ([2, 1], Reason.INCONSISTENT, None)


def test_an_endpoint_that_denied_itself_is_not_offered_once_the_keys_are_listed():
    denied = a_state().endpoint_failed(ApiPath.GROUPS, not_offered(), NOW)
    listed = after(denied, a_listing(*keys(1)))

    assert denied.endpoints.groups.failure.denies_endpoint
    assert listed.endpoints.groups == NotOffered()


def test_a_denial_while_the_keys_are_listed_is_believed_at_once():
    state = after(a_state(), a_listing()).endpoint_failed(ApiPath.GROUPS, not_offered(), NOW)

    assert state.endpoints.groups == NotOffered()


def test_a_denial_while_the_keys_cannot_be_listed_says_nothing():
    failing = after(a_state(), a_listing()).failed(failure(Reason.UNAUTHORIZED), NOW)
    state = failing.endpoint_failed(ApiPath.GROUPS, not_offered(), NOW)

    assert isinstance(state.endpoints.groups, Unknown)


def test_every_value_grows_old_by_its_own_age():
    state = a_read_state(*keys(1), balance=a_balance(), groups={"vip": 1.0})
    state = state.answered(ApiPath.BALANCE, a_balance(requests=7), a_moment(NOW + 60))
    old = state.aged(a_moment(NOW + 3600))

    assert (old.keys, old.key_groups, old.open_groups) == ((), {}, None)
    assert old.balance == a_balance(requests=7)
    assert old.aged(a_moment(NOW + 3601)) is old


def test_with_unknown_subscriptions_an_empty_wallet_is_no_empty_account():
    never_read = a_state().answered(ApiPath.BALANCE, a_balance(remaining_quota=0), a_moment())
    none_running = never_read.answered(ApiPath.SUBSCRIPTIONS, Subscriptions(), a_moment())

    assert (never_read.spendable_quota, never_read.is_exhausted) == (None, False)
    assert (none_running.spendable_quota, none_running.is_exhausted) == (0, True)


BEFORE = keys(3, 2, 1)


@pytest.mark.parametrize(
    ("listing", "shown"),
    [
        pytest.param(a_listing(*keys(3, 1)), [3, 1], id="complete: proof that 2 is gone"),
        pytest.param(a_listing(), [], id="complete and empty: all are gone"),
        pytest.param(
            a_listing(*keys(3, 1), is_complete=False), [3, 2, 1], id="incomplete: once is no proof"
        ),
        pytest.param(
            a_listing(*keys(4), is_complete=False),
            [4, 3, 2, 1],
            id="incomplete: new keys are shown",
        ),
        pytest.param(
            a_listing(*keys(3, 1), changed_while_read=True),
            [3, 2, 1],
            id="under change: once is no proof",
        ),
        pytest.param(
            a_listing(*keys(3, 1), changed_while_read=None),
            [3, 2, 1],
            id="no total: once is no proof",
        ),
        pytest.param(
            a_listing(*keys(3, 1), unreadable=[2]), [3, 2, 1], id="unreadable: as last read"
        ),
        pytest.param(
            a_listing(*keys(3, 1), unreadable=[2], changed_while_read=None),
            [3, 2, 1],
            id="unreadable, no total",
        ),
        pytest.param(
            a_listing(*keys(3, 2, 1), unreadable=[9]), [3, 2, 1], id="unreadable and never seen"
        ),
        pytest.param(
            a_listing(*keys(3, 1), nameless=1), [3, 1], id="nameless: nobody can be kept for it"
        ),
    ],
)
def test_a_key_leaves_only_by_proof(listing, shown):
    assert ids(after(a_read_state(*BEFORE), listing)) == shown


def test_no_key_is_shown_longer_than_stale_after_after_it_was_last_seen():
    assert ids(
        after(a_read_state(*BEFORE), a_listing(*keys(3, 1), is_complete=False), at=NOW + 3600)
    ) == [3, 1]


def test_a_snapshot_is_ready_when_every_first_refresh_has_ended_well_or_badly():
    snapshot = Snapshot.of([a_state(name="a"), a_state(name="b")])
    one = snapshot.with_account(a_read_state(name="a"))
    both = one.with_account(a_state(name="b").failed(failure(Reason.TIMEOUT), NOW))

    assert [each.is_ready for each in (snapshot, one, both)] == [False, False, True]


def test_a_changed_account_leaves_the_old_snapshot_and_the_order_as_they_were():
    before = Snapshot.of([a_state(name="b"), a_state(name="a")])
    later = before.with_account(a_read_state(*keys(1), name="b"))

    assert list(later.accounts) == ["b", "a"]
    assert before.accounts["b"].keys == ()


def test_keys_of_a_banned_account_are_not_usable_until_it_is_read_again():
    """What is wrong with a key itself is said first."""
    read = a_read_state(an_api_key(id=1), an_api_key(id=2, status=2), groups={})
    banned = read.failed(failure(Reason.ACCOUNT_DISABLED), NOW + 60)
    again = after(banned, a_listing(*banned.keys))

    assert [banned.unusable_reason(key, NOW) for key in banned.keys] == [
        UnusableReason.DISABLED,
        UnusableReason.ACCOUNT_DISABLED,
    ]
    assert again.unusable_reason(again.keys[1], NOW) is None


def test_every_endpoint_that_is_remembered_is_found_by_its_path():
    """A value without a path could be read and never be kept."""
    remembered = {field.name for field in dataclasses.fields(Endpoints)}
    changed = {
        path: Endpoints().changed(path, Known(path, a_moment())) for path in Endpoints().by_path()
    }

    assert len(changed) == len(remembered)
    assert all(endpoints.at(path) != Unknown() for path, endpoints in changed.items())
