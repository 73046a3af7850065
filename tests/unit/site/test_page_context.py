"""What the status page decides to say."""

import pytest
from domain import (
    DAY,
    NOW,
    a_balance,
    a_dry_state,
    a_listing,
    a_moment,
    a_read_state,
    a_reading,
    a_snapshot,
    a_state,
    an_api_key,
    failure,
    withdrawn,
)

from exporter.changes import Change, KeyChange
from exporter.endpoint import ApiPath
from exporter.errors import Reason
from exporter.model import GatewayStatus
from exporter.site.choose import Entry, Query, choose
from exporter.site.page_context import (
    badge,
    change_words,
    context,
    notes,
    refresh_seconds,
    runway,
    selector,
    shown,
    title,
    trouble,
    why_nothing,
)
from exporter.site.verdict import Health, judge
from exporter.snapshot import Snapshot
from exporter.thresholds import Threshold

HOUR = 3_600
NEVER_USED = {"used_quota": 0, "last_used_at": None}


def an_entry(*, groups=None, balance=None, name="main", thresholds=(), **key):
    built = an_api_key(**key)
    state = a_read_state(built, name=name, balance=balance, groups=groups, thresholds=thresholds)
    return Entry(state, built, judge(state, built, NOW))


# A key.


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "OK"),
        ({"expires_at": NOW + 5 * HOUR - 1}, "EXPIRES IN 4 h"),
        ({"expires_at": NOW + 3 * DAY}, "EXPIRES IN 3 d"),
        ({"remaining_quota": 26, "used_quota": 974}, "2.6% LEFT"),
        ({"remaining_quota": 9, "used_quota": 991, "expires_at": NOW + 6 * DAY}, "0.9% LEFT"),
        (
            {"remaining_quota": 1_250_000, "thresholds": (Threshold(low_quota_usd=5.0),)},
            "$2.50 LEFT",
        ),
        ({"status": 2, "last_used_at": NOW - HOUR}, "DISABLED IN USE"),
        ({"status": 2, "last_used_at": None}, "DISABLED, UNUSED"),
        ({"status": 3}, "EXPIRED"),
        ({"status": 3, "expires_at": NOW + DAY}, "EXPIRED"),
        ({"status": 3, "expires_at": NOW - 40 * DAY}, "EXPIRED 40 d"),
        ({"expires_at": NOW - 2 * DAY}, "EXPIRED 2 d"),
        ({"status": 4}, "EXHAUSTED"),
        ({"remaining_quota": 0}, "EXHAUSTED"),
        ({"remaining_quota": 0, "last_used_at": None}, "EXHAUSTED"),
        ({"remaining_quota": 0, **NEVER_USED}, "NEVER FUNDED"),
        ({"status": 7}, "UNKNOWN STATUS"),
        ({"balance": a_balance(remaining_quota=0)}, "ACCOUNT EMPTY"),
        ({"group": "vip", "groups": {"default": 1.0}}, "GROUP UNAVAILABLE"),
    ],
)
def test_a_badge_says_how_a_key_is_and_why(facts, words):
    assert badge(an_entry(**facts), NOW) == words


def test_a_key_that_ran_dry_has_a_badge_of_its_own():
    state = a_dry_state()
    entry = Entry(state, state.keys[0], judge(state, state.keys[0], NOW))

    assert badge(entry, NOW) == "PROBABLY DRY"


def test_a_key_that_would_be_ok_if_it_did_not_rest_is_possibly_dry():
    """The exporter did not see it spend, so what its requests cost is not known."""
    key = an_api_key(remaining_quota=400_000)
    balance = a_balance(used_quota=10**9, requests=10)
    state = a_read_state(key, at=NOW - 1_500, balance=balance)
    state = state.succeeded(a_reading(a_listing(key)))
    entry = Entry(state, key, judge(state, key, NOW))

    assert (entry.verdict.health, badge(entry, NOW)) == (Health.WARNING, "POSSIBLY DRY")


def test_an_account_that_ran_dry_has_a_note():
    watched = [a_balance(remaining_quota=left, used_quota=10**6 - left) for left in (6_000, 1_000)]
    state = a_read_state(balance=watched[0], at=NOW - 1_560)
    for at in (NOW - 1_500, NOW):
        state = state.answered(ApiPath.BALANCE, watched[1], a_moment(at))

    assert notes(state) == [
        (
            "the account has probably run dry: it has spent nothing for 25 minutes, and has $0.0020 "
            "left for one request; a typical one costs $0.0059"
        )
    ]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"remaining_quota": 500, "used_quota": 1_000, "created_at": NOW - 30 * DAY}, "15 days"),
        (
            {"remaining_quota": 5_000_000, "used_quota": 1, "created_at": NOW - 30 * DAY},
            "more than 10 years",
        ),
        ({"remaining_quota": None}, ""),
        ({"remaining_quota": 0}, ""),
        ({"used_quota": 0}, ""),
        ({"created_at": None}, ""),
        ({"created_at": NOW}, ""),
        ({"status": 2}, ""),
    ],
)
def test_how_long_the_quota_lasts_is_said_where_it_can_be_known(facts, words):
    assert runway(an_entry(**facts), NOW) == words


def test_the_selector_can_be_pasted_whatever_the_account_is_called():
    assert selector(an_entry(id=9, name='a "b" \\ \n')) == r'{account="a \"b\" \\ \n",key_id="9"}'


# An account.

READ = a_read_state(an_api_key(), at=NOW - 900)


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (a_state(), "no data yet."),
        (READ, "showing the last known data."),
        (withdrawn(READ), "the data is older than 60 minutes and no longer shown."),
    ],
)
def test_an_account_that_fails_says_since_when_and_what_is_shown(state, what):
    failing = state.failed(failure(Reason.RATE_LIMITED), NOW - 600).failed(
        failure(Reason.TIMEOUT), NOW - 300
    )

    assert trouble(failing, NOW) == f"Failing for 10 minutes, since 2025-06-15 14:56:40 UTC; {what}"


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"clock_skew": 60.0, "status": GatewayStatus(quota_units_per_usd=500_000.0)}, []),
        (
            {"skipped": 1, "excluded": 1_200},
            ["1 key could not be read", "1,200 keys excluded by filters"],
        ),
        (
            {"status": GatewayStatus(quota_units_per_usd=1_000_000.0)},
            ["500,000 quota units per USD are configured, the gateway reports 1,000,000"],
        ),
        ({"clock_skew": 61.0}, ["this machine's clock is 61 seconds ahead of the gateway's"]),
        ({"clock_skew": -180.0}, ["this machine's clock is 3 minutes behind the gateway's"]),
    ],
)
def test_what_is_odd_about_an_account_is_noted(facts, found):
    assert notes(a_read_state(**facts)) == found


# The page.


def test_of_several_accounts_those_that_fail_come_first_and_keys_name_theirs():
    well, ill = a_read_state(name="well"), a_state(name="ill").failed(failure(Reason.TIMEOUT), NOW)
    one, two = (context(Snapshot.of(states), Query(), NOW) for states in ([well], [well, ill]))

    assert [state.name for state in two["states"]] == ["ill", "well"]
    assert ("account", "Account") in two["columns"]
    assert ("account", "Account") not in one["columns"]


@pytest.mark.parametrize(
    ("intervals", "seconds"), [([], 60), ([0.5, 1_000.0], 5), ([30.0, 1_000.0], 30), ([900.0], 60)]
)
def test_the_page_refreshes_with_the_refreshes_within_bounds(intervals, seconds):
    states = [a_read_state(interval_seconds=interval) for interval in intervals]

    assert refresh_seconds(states) == seconds
    assert refresh_seconds([*states, a_state()]) == 5  # until every account was read once


def test_the_title_begins_with_what_is_wrong():
    ill = a_state(name="ill").failed(failure(Reason.TIMEOUT), NOW)
    tally = dict.fromkeys(Health, 2)

    assert title([ill, a_read_state()], tally) == (
        "1 account failing, 2 not usable, 2 probably dry, 2 critical · cometapi-exporter"
    )
    assert title([a_read_state()], dict.fromkeys(Health, 0)) == "cometapi-exporter"


def test_a_filter_for_what_is_gone_stays_selected():
    page = context(
        a_snapshot(an_api_key(group="vip"), an_api_key(id=2)),
        Query(group="gone", account="left"),
        NOW,
    )

    assert page["nothing"] == "No key matches."
    assert page["groups"] == ["(none)", "vip", "gone"]
    assert page["account_names"] == ["main", "left"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "401 keys"),
        ({"group": "vip"}, "1 of 401 keys"),
        ({"limit": 200}, "1\N{EN DASH}200 of 401 keys"),
        ({"limit": 200, "page": 3}, "401\N{EN DASH}401 of 401 keys"),
        ({"limit": 200, "group": "(none)"}, "1\N{EN DASH}200 of 400 matching keys"),
    ],
)
def test_the_page_says_which_keys_of_how_many_it_shows(asked, words):
    snapshot = a_snapshot(
        *(an_api_key(id=number, group="" if number else "vip") for number in range(401))
    )

    assert shown(choose(snapshot, Query(**asked), NOW)) == words


FAILING = a_state(name="broken").failed(failure(Reason.UNREACHABLE), NOW - 60)
WITHDRAWN = withdrawn(
    a_read_state(name="old", at=NOW - 7200).failed(failure(Reason.TIMEOUT), NOW - 60)
)


@pytest.mark.parametrize(
    ("states", "asked", "words"),
    [
        ([a_state()], {}, "The first refresh is in progress: keys appear when it ends."),
        ([a_state(), FAILING], {}, "The first refresh is in progress: keys appear when it ends."),
        ([a_read_state()], {}, "There are no keys."),
        ([a_read_state()], {"q": "x"}, "No key matches."),
        (
            [a_read_state(), FAILING],
            {"account": "broken"},
            "Account broken has not been read yet: unreachable since 2025-06-15 15:05:40 UTC.",
        ),
        ([WITHDRAWN], {}, "Account old has no recent data: timeout since 2025-06-15 15:05:40 UTC."),
        ([WITHDRAWN, FAILING], {}, "There is no data to show: see the accounts above."),
        ([a_read_state(), FAILING], {"account": "gone"}, "No key matches."),
    ],
)
def test_an_empty_page_says_why(states, asked, words):
    assert why_nothing(Snapshot.of(states), Query(**asked)) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"change": Change.CREATED}, "created"),
        (
            {
                "change": Change.EXPIRY_REMOVED,
                "before": "2025-06-15 15:06:40 UTC",
                "after": "never",
            },
            "expiry removed: 2025-06-15 15:06:40 UTC \N{RIGHTWARDS ARROW} never",
        ),
        (
            {"change": Change.GROUP_CHANGED, "before": "", "after": "vip"},
            "group changed: (none) \N{RIGHTWARDS ARROW} vip",
        ),
        (
            {"change": Change.IP_ALLOWLIST_SET, "before": "none", "after": "2 entries"},
            "IP allowlist set: none \N{RIGHTWARDS ARROW} 2 entries",
        ),
    ],
)
def test_a_change_says_what_was_and_what_is(change, words):
    assert change_words(KeyChange(time=NOW, key_id=1, key_name="bot", **change)) == words
