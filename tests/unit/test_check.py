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
    a_read_state,
    a_reading,
    a_state,
    a_subscription,
    an_api_key,
    failure,
)

from exporter.check import report as coloured
from exporter.errors import Reason
from exporter.model import GatewayStatus


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


def test_the_table_says_what_was_found_and_what_to_do():
    found = a_read_state(
        an_api_key(id=1),
        an_api_key(id=2, remaining_quota=0),
        an_api_key(id=3, status=2),
        an_api_key(id=4, status=3),
        an_api_key(id=5, status=4),
        an_api_key(id=6, status=77),
        name="work",
        gateway="https://gate",
        balance=a_balance(remaining_quota=617_500_000),
    )
    private = a_read_state(name="private", gateway="https://b")
    dead = a_failed_state(Reason.UNREACHABLE, name="dead", gateway="https://c")

    assert (
        report([found, private, dead], NOW)
        == dedent("""\
        account  gateway       keys  enabled  disabled  expired  exhausted  unknown  usable  skipped  balance        result
        work     https://gate  6     2        1         1        1          1        1       0        1,235.00 USD   up
        private  https://b     0     0        0         0        0          0        0       0        not available  up
        dead     https://c     -     -        -         -        -          -        -       -        -              failing: unreachable

        dead: it went wrong
          what to do: check --cometapi.base-url, the network, proxies; --cometapi.ca-file trusts a private CA""")
    )


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
        "main: the account cannot pay for any request, whatever its keys have left",
        "  what to do: top up the account",
    ]


def test_one_unit_is_not_empty():
    assert cells(a_read_state(balance=a_balance(remaining_quota=1)), "result") == ("up",)


@pytest.mark.parametrize(
    ("left", "shown"), [(1_000_000, "subscription 2.00 USD"), (None, "subscription")]
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
        (
            "main: 2 keys: '\\x1b[31mjob' (id 2), 'web' (id 1): cannot be used: not open to the account: "
            "group 'gone', 'vip'"
        ),
        "  what to do: choose another group for these keys, or have the gateway's operator open it",
    ]


def test_keys_that_probably_ran_dry_are_named_a_few_of_them():
    dry = [
        an_api_key(
            id=id_, name=f"job {id_}", remaining_quota=90, used_quota=900, last_used_at=NOW - 3600
        )
        for id_ in range(1, 8)
    ]
    state = a_read_state(*dry, balance=a_balance(used_quota=10_000, requests=100))
    found, advice = remarks(state)

    assert found == (
        "main: 7 keys: 'job 7' (id 7), 'job 6' (id 6), 'job 5' (id 5), 'job 4' (id 4), 'job 3' (id 3), 2 more: "
        "probably ran dry: less is left than a usual request costs, and nothing was spent lately"
    )
    assert advice == "  what to do: raise the quota of these keys, or disable them"


def test_a_single_key_is_counted_in_the_singular():
    dry = an_api_key(remaining_quota=90, used_quota=900, last_used_at=NOW - 3600)

    assert remarks(a_read_state(dry, balance=a_balance(used_quota=10_000, requests=100)))[
        0
    ].startswith("main: 1 key: 'key 1' (id 1): probably ran dry")


@pytest.mark.parametrize(
    ("excluded", "remark"),
    [
        (1, "1 key excluded by keys.include and keys.exclude"),
        (12, "12 keys excluded by keys.include and keys.exclude"),
    ],
)
def test_excluded_keys_are_counted(excluded, remark):
    state = a_state().succeeded(a_reading(a_listing(an_api_key(), excluded=excluded)))

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
        "  what to do: remove --cometapi.quota-per-usd unless the gateway's value is wrong",
    ]
    assert (
        remarks(state, in_file=True)[1]
        == "  what to do: remove quota_per_usd unless the gateway's value is wrong"
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
        "  what to do: set this machine's clock (NTP); expiry is judged by it",
    ]


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
