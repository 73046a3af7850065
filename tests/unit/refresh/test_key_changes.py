"""What counts as a change of a key between two refreshes, and what does not."""

from dataclasses import replace

import pytest
from domain import (
    A_LIST,
    DAY,
    NOW,
    a_balance,
    a_listing,
    a_read_state,
    a_reading,
    a_state,
    an_account,
    an_api_key,
    failure,
    keys,
)

from exporter.errors import Reason
from exporter.key_filter import KeyFilter
from exporter.model import UNREAD_LIST, RestrictionList
from exporter.patterns import Pattern
from exporter.refresh.key_changes import with_changes
from exporter.refresh.listing import without_excluded
from exporter.refresh.refresher import configured

LATER = NOW + 60
ONE = RestrictionList(count=1, digest=9, allows_all=False)
EVERYBODY = RestrictionList(count=1_200, digest=8, allows_all=True)
NOT_READ = RestrictionList()


def refreshed(state, *listings, **reading):
    """Return *state* after a refresh for each of *listings*, a minute apart."""
    for number, listing in enumerate(listings, start=1):
        read = a_reading(listing, at=NOW + 60 * number, **reading)
        state = with_changes(state, state.succeeded(read), read)
    return state


def told(state):
    """List the changes, oldest first."""
    return [(each.change.value, each.before, each.after) for each in reversed(state.changes.last)]


def changed(before, after):
    return told(refreshed(a_read_state(an_api_key(**before)), a_listing(an_api_key(**after))))


DATE = "2025-06-25 15:06:40 UTC"
LATER_DATE = "2025-07-25 15:06:40 UTC"


@pytest.mark.parametrize(
    ("before", "after", "change", "was", "now"),
    [
        ({"name": "bot"}, {"name": "old bot"}, "renamed", "bot", "old bot"),
        ({"group": ""}, {"group": "vip"}, "group_changed", "", "vip"),
        ({"status": 1}, {"status": 2}, "disabled", "enabled", "disabled"),
        ({"status": 3}, {"status": 2}, "disabled", "expired", "disabled"),
        ({"status": 2}, {"status": 1}, "enabled", "disabled", "enabled"),
        (
            {"remaining_quota": 500_000, "used_quota": 500_000},
            {"remaining_quota": 1_000_000, "used_quota": 500_000},
            "quota_raised",
            "$2.00",
            "$3.00",
        ),
        (
            {"remaining_quota": 500_000, "used_quota": 500_000},
            {"remaining_quota": 0, "used_quota": 500_000},
            "quota_lowered",
            "$2.00",
            "$1.00",
        ),
        (
            {"remaining_quota": 750_000_000_000, "used_quota": 0},
            {"remaining_quota": 750_000_000_001, "used_quota": 0},
            "quota_raised",
            "$1,500,000.000000",
            "$1,500,000.000002",
        ),
        (
            {"remaining_quota": -500_000, "used_quota": 0},
            {"remaining_quota": 0, "used_quota": 0},
            "quota_raised",
            "-$1.00",
            "$0.00",
        ),
        (
            {"remaining_quota": None, "used_quota": 500_000},
            {"remaining_quota": 500_000, "used_quota": 500_000},
            "quota_limit_set",
            "unlimited",
            "$2.00",
        ),
        (
            {"remaining_quota": 500_000, "used_quota": 500_000},
            {"remaining_quota": None, "used_quota": 500_000},
            "quota_limit_removed",
            "$2.00",
            "unlimited",
        ),
        (
            {"remaining_quota": 500_000, "used_quota": None},
            {"remaining_quota": None, "used_quota": None},
            "quota_limit_removed",
            "limited",
            "unlimited",
        ),
        ({}, {"expires_at": NOW + 10 * DAY}, "expiry_set", "never", DATE),
        ({"expires_at": NOW + 10 * DAY}, {}, "expiry_removed", DATE, "never"),
        (
            {"expires_at": NOW + 10 * DAY},
            {"expires_at": NOW + 40 * DAY},
            "expiry_extended",
            DATE,
            LATER_DATE,
        ),
        (
            {"expires_at": NOW + 10 * DAY},
            {"expires_at": 0},
            "expiry_shortened",
            DATE,
            "1970-01-01 00:00:00 UTC",
        ),
        ({}, {"ip_allowlist": ONE}, "ip_allowlist_set", "none", "1 entry"),
        (
            {"ip_allowlist": ONE},
            {"ip_allowlist": EVERYBODY},
            "ip_allowlist_changed",
            "1 entry",
            "1,200 entries, any address",
        ),
        ({"ip_allowlist": A_LIST}, {}, "ip_allowlist_removed", "2 entries", "none"),
        ({}, {"model_limits": A_LIST}, "model_limits_set", "none", "2 entries"),
        (
            {"model_limits": A_LIST},
            {"model_limits": ONE},
            "model_limits_changed",
            "2 entries",
            "1 entry",
        ),
        ({"model_limits": NOT_READ}, {}, "model_limits_removed", "a list", "none"),
    ],
)
def test_what_a_person_changes_is_one_change(before, after, change, was, now):
    assert changed(before, after) == [(change, was, now)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"remaining_quota": 500_000, "used_quota": 0, "last_used_at": NOW - DAY},
            {"remaining_quota": -200, "used_quota": 500_200, "last_used_at": NOW},
        ),
        (
            {"remaining_quota": 100, "used_quota": 900},
            {"remaining_quota": 600, "used_quota": 400},
        ),
        (
            {"remaining_quota": None, "used_quota": 500},
            {"remaining_quota": None, "used_quota": 900_000},
        ),
        ({"status": 1}, {"status": 3}),
        ({"status": 1, "remaining_quota": -1}, {"status": 4, "remaining_quota": -1}),
        ({"status": 4}, {"status": 1}),
        ({"status": 2}, {"status": 3}),
        ({"status": 1}, {"status": 7}),
        ({"status": 7}, {"status": 2}),
        ({"expires_at": NOW + 30}, {"expires_at": NOW + 30}),
        ({"used_quota": None}, {"used_quota": 800}),
        ({"used_quota": 800}, {"used_quota": None}),
        (
            {"ip_allowlist": A_LIST},
            {"ip_allowlist": RestrictionList(count=2, digest=7, allows_all=False)},
        ),
        ({"ip_allowlist": UNREAD_LIST}, {"ip_allowlist": A_LIST}),
        ({"ip_allowlist": A_LIST}, {"ip_allowlist": UNREAD_LIST}),
        ({"ip_allowlist": A_LIST}, {"ip_allowlist": NOT_READ}),
        ({"model_limits": UNREAD_LIST}, {"model_limits": None}),
        ({"model_limits": NOT_READ}, {"model_limits": A_LIST}),
        ({"has_cross_group_retry": False}, {"has_cross_group_retry": True}),
        ({"name": "bot"}, {"name": "", "unread": frozenset({"name"})}),
        ({"name": "", "unread": frozenset({"name"})}, {"name": "bot"}),
        ({"group": "vip"}, {"group": "", "unread": frozenset({"group"})}),
        ({"expires_at": NOW + DAY}, {"unread": frozenset({"expires_at"})}),
        ({"unread": frozenset({"expires_at"})}, {"expires_at": NOW + DAY}),
        (
            {"remaining_quota": None},
            {"remaining_quota": 5, "unread": frozenset({"remaining_quota"})},
        ),
    ],
    ids=[
        "spending",
        "a refund",
        "spending of an unlimited key",
        "the gateway notes the expiry",
        "the gateway notes that it is empty",
        "and that it is not any more",
        "a disabled key expires",
        "a status that is not known",
        "a status that was not known",
        "time passes the expiry",
        "used quota becomes known",
        "used quota becomes unknown",
        "the same address list",
        "an address list becomes known",
        "an address list becomes unknown",
        "the entries of an address list become unknown",
        "model limits become known",
        "the entries of a model list become known",
        "cross-group retry",
        "a name cannot be read",
        "a name can be read again",
        "a group cannot be read",
        "an expiry cannot be read",
        "an expiry can be read again",
        "whether it is unlimited cannot be read",
    ],
)
def test_what_nobody_decided_or_knows_is_no_change(before, after):
    assert changed(before, after) == []


def test_an_update_that_leaves_fields_out_is_one_change_for_each():
    before = {"expires_at": NOW + 10 * DAY, "ip_allowlist": A_LIST, "model_limits": A_LIST}

    assert [change for change, _, _ in changed(before, {"name": "key 1"})] == [
        "expiry_removed",
        "ip_allowlist_removed",
        "model_limits_removed",
    ]


def test_a_change_names_the_key_and_the_time_of_the_refresh():
    state = refreshed(a_read_state(*keys(7)), a_listing(an_api_key(id=7, name="bot")))

    (change,) = state.changes.last
    assert (change.time, change.key_id, change.key_name) == (LATER, 7, "bot")


READ = a_read_state(*keys(5, 3))
MANY = a_read_state(*keys(*range(1, 51)))
HALF = a_listing(*keys(*range(1, 26)))


@pytest.mark.parametrize(
    ("state", "listings", "expected"),
    [
        (a_state(), [a_listing(*keys(5, 3))], []),
        (READ, [a_listing(*keys(5, 3))], []),
        (READ, [a_listing(*keys(6, 5, 3))], ["created"]),
        (READ, [a_listing(*keys(5))], ["deleted"]),
        (READ, [a_listing(*keys(6, 5))], ["created", "deleted"]),
        (READ, [a_listing(*keys(6, 5), is_complete=False)], ["created"]),
        (READ, [a_listing(*keys(5), is_complete=False)] * 3, []),
        (READ, [a_listing(*keys(5), is_complete=False), a_listing(*keys(5))], ["deleted"]),
        (READ, [a_listing(*keys(5), is_complete=False), a_listing(*keys(5, 3))], []),
        (READ, [a_listing(*keys(5), is_complete=False)] * 2 + [a_listing(*keys(5, 3))], []),
        (READ, [a_listing(*keys(5), changed_while_read=None)], []),
        (READ, [a_listing(*keys(5), changed_while_read=None)] * 2, ["deleted"]),
        (READ, [a_listing(*keys(5), unreadable=[3])], []),
        (READ, [a_listing(*keys(5, 3), unreadable=[6]), a_listing(*keys(6, 5, 3))], []),
        (READ, [a_listing(*keys(5), excluded=[3])], []),
        (READ, [a_listing(*keys(5, 3), excluded=[6]), a_listing(*keys(6, 5, 3))], []),
        (READ, [a_listing(*keys(5, 4, 3))], []),
        (READ, [a_listing(*keys(5, 3), an_api_key(id=4, created_at=NOW + 5))], ["created"]),
        (READ, [a_listing()] * 2, ["deleted", "deleted"]),
    ],
    ids=[
        "first listing",
        "nothing",
        "one more",
        "one less",
        "one more and one less",
        "one more in an inconsistent listing",
        "one less in inconsistent listings",
        "one less, proven by the next listing",
        "one less, mistaken",
        "one less, mistaken twice",
        "one less where that cannot be proven",
        "one less twice where that cannot be proven",
        "unreadable",
        "unreadable becomes readable",
        "excluded",
        "excluded becomes included",
        "an older key appears",
        "a new key with a lower id",
        "all deleted",
    ],
)
def test_what_a_listing_shows_and_does_not_show(state, listings, expected):
    assert [change for change, _, _ in told(refreshed(state, *listings))] == expected


def test_a_key_is_new_by_the_clock_of_the_gateway_which_creates_it():
    """This machine's clock is 100 s ahead: the gateway's showed NOW - 100 at the last listing."""
    ahead = a_read_state(*keys(5, 3), clock_skew=100.0)
    appeared = an_api_key(id=4, created_at=NOW - 95)

    assert [
        change for change, _, _ in told(refreshed(ahead, a_listing(*keys(5, 3), appeared)))
    ] == ["created"]


def test_a_mistaken_listing_is_no_change():
    mistaken = refreshed(MANY, HALF, is_suspicious=True)
    corrected = refreshed(mistaken, a_listing(*keys(*range(1, 51))))

    assert told(mistaken) == told(corrected) == []


def test_a_suspicious_listing_that_the_next_confirms_is_compared_with_the_list_before_both():
    listing = a_listing(*keys(*range(1, 25)), an_api_key(id=25, name="bot"), an_api_key(id=51))
    suspicious = refreshed(MANY, listing, is_suspicious=True)
    confirmed = refreshed(suspicious, listing)

    changes = [change for change, _, _ in told(confirmed)]
    assert told(suspicious) == []
    assert sorted(set(changes)) == ["created", "deleted", "renamed"]
    assert (changes.count("created"), changes.count("renamed"), len(changes)) == (1, 1, 27)


def test_keys_of_another_account_are_no_change():
    known = a_read_state(*keys(5, 3), balance=a_balance(account_id=1))
    other = replace(known, endpoints=replace(known.endpoints, balance=READ.endpoints.balance))

    assert told(refreshed(other, a_listing(*keys(9, 8)))) == []
    assert len(told(refreshed(known, a_listing(*keys(9, 8))))) == 4


def test_what_changed_while_refreshes_failed_is_told_by_the_first_that_succeeds():
    failing = READ.failed(failure(Reason.TIMEOUT), NOW + 30)

    assert [change for change, _, _ in told(refreshed(failing, a_listing(*keys(6, 5))))] == [
        "created",
        "deleted",
    ]


def test_a_reload_with_other_filters_is_no_change():
    listed = (an_api_key(id=2, group="test"), an_api_key(id=1))
    state = a_read_state(*listed)
    narrowed = without_excluded(
        configured(state, an_account()), KeyFilter(None, Pattern("test/.*"))
    )
    after_narrowing = refreshed(narrowed, a_listing(*listed[1:], excluded=[2]))
    widened = refreshed(after_narrowing, a_listing(*listed))

    assert [key.id for key in widened.keys] == [2, 1]
    assert told(widened) == []


def test_a_renamed_key_that_the_filters_leave_out_is_not_deleted():
    state = refreshed(a_read_state(*keys(2, 1)), a_listing(*keys(1), excluded=[2]))

    assert told(state) == []
