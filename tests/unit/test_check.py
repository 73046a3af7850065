"""The report of --check."""

import re
from dataclasses import replace
from textwrap import dedent

import click
import pytest
from domain import (
    DAY,
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
)

from exporter.check import pages_text
from exporter.check import report as coloured
from exporter.endpoint import ApiPath, Unknown
from exporter.errors import Reason
from exporter.model import GatewayStatus, ListingProgress, Subscriptions, Unread


def a_failed_state(reason, **over):
    return a_state(**over).failed(failure(reason), NOW)


def report(*arguments, **over):
    """Return the report without its colours."""
    return click.unstyle(coloured(*arguments, **over))


def remarks(state, **over):
    """Return what is written below the table."""
    return report([state], NOW, **over).splitlines()[3:]


def cells(state, *headers, now=NOW):
    """Return what the table has for *state* under *headers*."""
    titles, row = (re.split(r"  +", line) for line in report([state], now).splitlines()[:2])
    return tuple(
        row[titles.index(header) - len(titles)] for header in headers
    )  # the gateway may be empty


def test_keys_that_could_not_be_read_are_named_with_their_fields():
    unread = frozenset(
        {
            Unread(field="remain_quota", key_id=2, costs_key=True),
            Unread(field="name", key_id=1),
        }
    )
    listing = a_listing(an_api_key(id=1), unreadable=[2], unread=unread)
    state = a_state().succeeded(a_reading(listing))

    assert cells(state, "keys", "skipped", "result") == ("1", "1", "up")
    assert remarks(state)[0] == (
        "main: 1 key skipped because of unreadable fields: remain_quota of key 2"
    )
    assert "main: some fields could not be read and are left out: name of key 1" in remarks(state)


def test_where_no_key_could_be_read_the_result_says_so():
    state = a_state().succeeded(a_reading(a_listing(unreadable=[2])))

    assert report([state], NOW).splitlines()[:3] == [
        "main: no key could be read",
        "  gateway: ",
        "  keys: 0, enabled: 0, usable: 0, skipped: 1",
    ]
    assert state.reads_no_key


def test_fields_beside_the_keys_that_could_not_be_read_are_named_with_their_path():
    status = GatewayStatus(quota_units_per_usd=500_000.0, unread=("version",))

    assert "main: could not be read in /api/status: version" in remarks(
        a_read_state(an_api_key(), status=status)
    )


def test_the_table_says_what_was_found_and_what_to_do():
    found = a_read_state(
        an_api_key(id=1),
        an_api_key(id=2, remaining_quota=0),
        an_api_key(id=3, status=2),
        name="work",
        gateway="https://gate",
        balance=a_balance(remaining_quota=617_500_000),
    )
    private = a_read_state(name="private", gateway="https://b")
    dead = a_failed_state(Reason.UNREACHABLE, name="dead", gateway="https://c")

    assert (
        report([found, private, dead], NOW)
        == dedent("""\
        account  gateway       keys  enabled  disabled  usable  balance       result
        work     https://gate  3     2        1         1       1,235.00 USD  up
        private  https://b     0     0        0         0       not offered   up
        dead     https://c     -     -        -         -       -             failing: unreachable

        work: 1 key: no quota left, though reported as enabled: 'key 2' (id 2)
          fix: top up these keys if their users need them

        dead: it went wrong
          fix: check --cometapi.base-url, the network, proxies; --cometapi.ca-file trusts a private CA""")
    )


def test_a_table_that_would_be_too_wide_is_a_block_for_each_account():
    found = a_read_state(
        an_api_key(id=1),
        an_api_key(id=3, status=2),
        an_api_key(id=4, status=3),
        an_api_key(id=5, status=4),
        an_api_key(id=6, status=77),
        name="work",
        gateway="https://gateway.example.org",
        balance=a_balance(remaining_quota=617_500_000),
    )
    dead = a_failed_state(Reason.TIMEOUT, name="dead", gateway="https://c")

    assert report([found, dead], NOW) == dedent("""\
        work: up
          gateway: https://gateway.example.org
          keys: 5, enabled: 1, disabled: 1, expired: 1, exhausted: 1, unknown: 1, usable: 1
          balance: 1,235.00 USD
        dead: failing: timeout
          gateway: https://c

        dead: it went wrong
          fix: check the network, or increase --collect.timeout""")


@pytest.mark.parametrize("name", ["a", "an-account-with-a-long-name"])
@pytest.mark.parametrize("gateway", ["https://a", f"https://{'gateway-' * 5}.example.org"])
def test_no_line_is_wider_than_a_terminal(name, gateway):
    keys = [an_api_key(id=number, status=number) for number in range(1, 6)]
    balance = a_balance(remaining_quota=617_500_000_000)
    written = report([a_read_state(*keys, name=name, gateway=gateway, balance=balance)], NOW)

    assert max(map(len, written.splitlines())) <= 100


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (ListingProgress(pages=3), "pages read: 3"),
        (ListingProgress(pages=3, expected=101), "pages read: 3 of 101"),
        (
            ListingProgress(pages=50, expected=101, is_waiting=True),
            "pages read: 50 of 101, waiting for the rate limit",
        ),
        # A list that changed is read again.
        (ListingProgress(pages=4, expected=3), "pages read: 4 of 4"),
    ],
)
def test_progress_says_how_many_pages_there_are_and_why_it_waits(progress, text):
    assert pages_text(progress) == text


def test_an_inconsistent_listing_is_named_as_such():
    state = a_state().succeeded(a_reading(a_listing(an_api_key(), is_complete=False)))

    assert report([state], NOW).endswith("up: inconsistent")


def test_usable_is_judged_at_the_time_of_the_report():
    state = a_read_state(an_api_key(expires_at=NOW + 10))

    assert [cells(state, "usable", now=now) for now in (NOW + 10, NOW + 11)] == [("1",), ("0",)]


def test_money_is_counted_by_the_accounts_own_factor():
    state = a_read_state(balance=a_balance(remaining_quota=1_500), configured_units_per_usd=1_000.0)

    assert cells(state, "balance") == ("1.50 USD",)


def test_an_account_that_cannot_pay_is_not_ok_and_leaves_no_key_usable():
    state = a_read_state(an_api_key(id=1), an_api_key(id=2), balance=a_balance(remaining_quota=0))

    assert cells(state, "balance", "usable", "result") == ("0.00 USD", "0", "empty")
    assert remarks(state) == [
        "main: account empty: all requests fail, regardless of the quota of its keys",
        "  fix: if the spending was intended, top up the account",
        "",
        (
            "main: 2 keys: not usable, because the account cannot pay: 'key 2' (id 2), 'key 1' (id 1)"
        ),
        "  fix: if the spending was intended, top up the account",
    ]


def test_one_unit_is_not_empty():
    assert cells(a_read_state(balance=a_balance(remaining_quota=1)), "result") == ("up",)


@pytest.mark.parametrize(
    ("left", "shown"),
    [(1_000_000, "subscriptions 2.00 USD left"), (None, "subscriptions no limit")],
)
def test_a_subscription_pays_too_and_is_shown(left, shown):
    state = a_read_state(
        an_api_key(),
        balance=a_balance(remaining_quota=0),
        subscriptions=a_subscription(left),
    )

    assert cells(state, "balance", "usable", "result") == (f"0.00 USD + {shown}", "1", "up")


def test_keys_of_a_group_that_is_not_open_are_named():
    state = a_read_state(
        an_api_key(id=1, name="web", group="vip"),
        an_api_key(id=2, name="\x1b[31mjob", group="gone"),
        an_api_key(id=3, group="default"),
        groups={"default": 1.0},
    )

    assert cells(state, "usable") == ("1",)
    assert remarks(state) == [
        "main: 2 keys: cannot be used: their group is not available to the account: '\\x1b[31mjob' (id 2,",
        "    group 'gone'), 'web' (id 1, group 'vip')",
        "  fix: ask the gateway's operator for access, or move these keys to another group after you have",
        "    compared its price and its models",
    ]


def test_every_enabled_key_that_is_not_usable_is_explained_by_its_reason():
    state = a_read_state(
        an_api_key(id=1, remaining_quota=0),
        an_api_key(id=2, remaining_quota=-7),
        an_api_key(id=3, expires_at=NOW - 1),
        an_api_key(id=4, status=2, remaining_quota=0),
        an_api_key(id=5, group="gone"),
        groups={},
    )
    told = [line for line in remarks(state) if line.startswith("main: ")]

    assert [line.split(": ")[1:3] for line in told] == [
        ["2 keys", "no quota left, though reported as enabled"],
        ["1 key", "expired, though reported as enabled"],
        ["1 key", "cannot be used"],
    ]


@pytest.mark.parametrize(
    ("seconds", "is_told"), [(1, True), (DAY - 1, True), (DAY, False), (-5, False), (None, False)]
)
def test_keys_that_expire_within_a_day_are_named(seconds, is_told):
    expires_at = None if seconds is None else NOW + seconds
    found = "main: 1 key expires within a day: 'key 1' (id 1)"

    assert (found in remarks(a_read_state(an_api_key(expires_at=expires_at)))) is is_told


@pytest.mark.parametrize("count", [1, 5, 6, 200])
def test_no_line_below_the_table_is_longer_than_a_terminal(count):
    keys = [
        an_api_key(id=id_, name="a name of a usual length", group="gone", expires_at=NOW + 5)
        for id_ in range(1, count + 1)
    ]
    closed = a_read_state(*keys, groups={})
    for path in ApiPath:
        if path not in (ApiPath.KEYS, ApiPath.USAGE_BY_KEY):
            failed = closed.not_offered(path)
            failed = replace(failed, endpoints=failed.endpoints.changed(path, Unknown()))
            failed = failed.endpoint_failed(path, failure(Reason.TIMEOUT, "word " * 60), NOW)

            assert max(map(len, remarks(failed))) <= 100


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (Reason.BLOCKED, "let the exporter's address or user agent through"),
        (Reason.RATE_LIMITED, "--collect.max-requests-per-minute"),
        (Reason.UNAUTHORIZED, "leave the access token and the URL as they are"),
        (Reason.INVALID_RESPONSE, "leave the access token and the URL as they are"),
    ],
)
def test_an_endpoint_that_was_never_read_is_unknown_and_its_advice_fits(reason, advice):
    state = a_read_state(an_api_key())
    state = replace(state, endpoints=replace(state.endpoints, groups=Unknown()))
    state = state.endpoint_failed(ApiPath.GROUPS, failure(reason), NOW)
    text = " ".join(line.strip() for line in remarks(state))

    assert text.startswith(
        "main: the list of groups (/api/user/self/groups) cannot be read and is unknown: it went wrong"
    )
    assert advice in text


def test_an_endpoint_that_answered_before_is_failing_and_what_is_not_offered_is_no_remark():
    state = a_read_state(an_api_key(), groups={"": 1.0})
    failing = state.endpoint_failed(ApiPath.GROUPS, failure(Reason.TIMEOUT), NOW)

    assert remarks(state) == []
    assert remarks(failing)[0] == (
        "main: the list of groups (/api/user/self/groups) cannot be read, the last known value is shown: it"
    )


def test_unknown_not_offered_and_zero_are_three_words():
    offered = a_read_state(balance=a_balance(remaining_quota=0), subscriptions=a_subscription())
    unknown = replace(
        offered, endpoints=replace(offered.endpoints, balance=Unknown(), subscriptions=Unknown())
    )
    none_running = a_read_state(balance=a_balance(), subscriptions=Subscriptions())

    assert cells(a_read_state(), "balance") == ("not offered",)
    assert cells(offered, "balance") == ("0.00 USD + subscriptions 2.00 USD left",)
    assert cells(unknown, "balance") == ("unknown + subscriptions unknown",)
    assert cells(none_running, "balance") == ("50.00 USD",)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (None, "/api/status is not offered"),
        (GatewayStatus(), "the gateway does not tell"),
        (failure(Reason.BLOCKED), "/api/status is unknown"),
    ],
)
def test_an_assumed_money_factor_is_named_with_its_cause(status, why):
    state = a_read_state(configured_units_per_usd=None)
    if isinstance(status, Exception):
        state = replace(state, endpoints=replace(state.endpoints, status=Unknown()))
        state = state.endpoint_failed(ApiPath.STATUS, status, NOW)
    elif status is not None:
        state = state.answered(ApiPath.STATUS, status, a_moment())

    assert f"main: assumed 500,000 quota units per USD: {why}" in remarks(state)


def test_gifts_beside_an_empty_wallet_make_no_empty_account():
    gifts = a_balance(remaining_quota=0, has_gifts=True)
    state = a_read_state(an_api_key(), balance=gifts)

    assert cells(state, "balance", "usable", "result") == ("0.00 USD", "1", "up")
    assert remarks(state) == [
        "main: the account has gifts (gift_quota) beside its wallet: what it can spend is unknown"
    ]


def test_a_subscription_that_cannot_be_read_is_told():
    state = a_read_state(balance=a_balance(), subscriptions=Subscriptions(unreadable=1))

    assert cells(state, "balance") == ("50.00 USD + subscriptions unknown",)
    assert remarks(state)[0] == "main: 1 subscription could not be read: what is left is unknown"


def test_keys_with_less_left_than_a_usual_request_are_named_a_few_of_them():
    """A single reading cannot know that a key rests, so it does not call it dry."""
    little = [
        an_api_key(id=id_, name=f"job {id_}", remaining_quota=90, used_quota=900)
        for id_ in range(1, 8)
    ]
    state = a_read_state(*little, balance=a_balance(used_quota=10_000, requests=100))
    text = " ".join(line.strip() for line in remarks(state))

    assert text.startswith(
        "main: 7 keys: less is left than a typical request of the account costs: 'job 7' (id 7)"
    )
    assert "'job 3' (id 3), 2 more fix: a cheaper request may still work: ask the users" in text


@pytest.mark.parametrize(
    "facts",
    [
        {"remaining_quota": 100},
        {"remaining_quota": None},
        {"used_quota": 0},
        {"last_used_at": NOW - 7 * DAY},
        {"last_used_at": None},
        {"status": 2},
    ],
    ids=["enough", "unlimited", "never spent", "unused for a week", "never used", "disabled"],
)
def test_a_key_that_has_enough_or_is_not_in_use_is_no_remark(facts):
    key = an_api_key(**({"remaining_quota": 90, "used_quota": 900} | facts))

    assert remarks(a_read_state(key, balance=a_balance(used_quota=10_000, requests=100))) == []


@pytest.mark.parametrize(
    ("wallet", "subscriptions", "left"),
    [
        (2_000, None, "$0.0040"),
        (0, a_subscription(2_000), "$0.0040"),
        (3_000, a_subscription(3_000), "$0.0060"),
        (50_000_000, a_subscription(2_000, allows_wallet_overflow=False), "$0.0040"),
    ],
    ids=["wallet", "subscription", "two purses are not added up", "the wallet may not pay"],
)
def test_an_account_with_less_left_than_a_usual_request_is_told(wallet, subscriptions, left):
    balance = a_balance(remaining_quota=wallet, used_quota=500_000, requests=100)
    state = a_read_state(
        an_api_key(remaining_quota=None), balance=balance, subscriptions=subscriptions
    )

    assert remarks(state) == [
        f"main: the account has {left} left for one request; a typical one costs $0.01",
        "  fix: check whether requests are rejected; if they are, top up the account",
    ]


@pytest.mark.parametrize(
    ("excluded", "remark"),
    [
        (1, "1 key excluded by keys.include and keys.exclude"),
        (12, "12 keys excluded by keys.include and keys.exclude"),
    ],
)
def test_excluded_keys_are_counted(excluded, remark):
    state = a_state().succeeded(a_reading(a_listing(an_api_key(), excluded=range(-excluded, 0))))

    assert remarks(state) == [f"main: {remark}"]


def test_five_keys_are_all_named():
    closed = [an_api_key(id=id_, group="gone") for id_ in range(1, 6)]

    assert " more" not in remarks(a_read_state(*closed, groups={}))[0]


def test_another_money_factor_of_the_gateway_is_reported():
    state = a_read_state(
        configured_units_per_usd=1_000.0, status=GatewayStatus(quota_units_per_usd=500_000.0)
    )

    assert remarks(state) == [
        "main: 1,000 quota units per USD are configured, the gateway reports 500,000",
        "  fix: remove --cometapi.quota-per-usd unless the gateway's value is wrong",
    ]
    assert (
        remarks(state, in_file=True)[1]
        == "  fix: remove quota_per_usd unless the gateway's value is wrong"
    )


@pytest.mark.parametrize("own", [None, 500_000.0])
def test_the_same_money_factor_or_none_of_the_users_is_no_remark(own):
    state = a_read_state(
        configured_units_per_usd=own, status=GatewayStatus(quota_units_per_usd=500_000.0)
    )

    assert remarks(state) == []


@pytest.mark.parametrize(("skew", "side"), [(61.0, "ahead of"), (-61.0, "behind")])
def test_a_clock_that_is_off_by_more_than_a_minute_is_reported_with_its_side(skew, side):
    assert remarks(replace(a_read_state(), clock_skew=skew)) == [
        f"main: this machine's clock is 61 seconds {side} the gateway's",
        "  fix: check this machine's clock (NTP); if it is right, tell the gateway's operator",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (60.0, []),
        (
            7_200.0,
            [
                (
                    "main: a cache in front of the gateway returned keys that are 2 hours old, "
                    "although the exporter asks"
                ),
                "    for fresh data",
                "  fix: configure the cache not to cache paths below /api/",
            ],
        ),
    ],
)
def test_what_a_cache_kept_for_more_than_a_minute_is_told(seconds, said):
    assert remarks(replace(a_read_state(), cached_seconds=seconds)) == said


@pytest.mark.parametrize("skew", [60.0, -60.0, None])
def test_a_clock_that_is_off_by_a_minute_at_most_is_no_remark(skew):
    assert remarks(replace(a_read_state(), clock_skew=skew)) == []


def test_the_clock_is_reported_for_an_account_that_failed_too():
    assert "this machine's clock is 90 seconds ahead" in report(
        [a_failed_state(Reason.TIMEOUT, clock_skew=90.0)], NOW
    )


def test_a_rate_limit_says_what_to_lower():
    state = a_failed_state(Reason.RATE_LIMITED)

    assert "lower --collect.max-requests-per-minute" in report([state], NOW)
    assert "lower collect.max_requests_per_minute" in report([state], NOW, in_file=True)


def test_colours_set_success_failure_and_warnings_apart():
    good = replace(a_read_state(name="good"), clock_skew=90.0)
    empty = a_read_state(name="empty", balance=a_balance(remaining_quota=0))
    text = coloured([good, empty, a_failed_state(Reason.TIMEOUT, name="dead")], NOW)

    for part, colour in (
        ("result", "bright_black"),
        ("up", "green"),
        ("empty", "red"),
        ("failing: timeout", "red"),
    ):
        assert f"  {click.style(part, fg=colour)}\n" in text
    assert (
        "good: "
        + click.style("this machine's clock is 90 seconds ahead of the gateway's", fg="yellow")
        in text
    )
    assert f"dead: {click.style('it went wrong', fg='red')}" in text


def test_a_key_that_is_used_daily_is_not_called_dry():
    resting = an_api_key(remaining_quota=5_000_000, used_quota=900, last_used_at=NOW - DAY)

    assert remarks(a_read_state(resting, balance=a_balance(used_quota=10_000, requests=100))) == []
