"""What models cost is read beside the keys, and counted on through failures and reloads."""

from datetime import UTC, datetime

import pytest
from domain import (
    NOW,
    FakeClient,
    FakeRuntime,
    a_balance,
    a_listing,
    an_api_key,
    failure,
    keys,
    not_offered,
    used,
)
from stage import Stage, VirtualRuntime

from exporter.endpoint import ApiPath, Failing, NotOffered, Unknown
from exporter.errors import Reason
from exporter.model import GatewayStatus

HALF_PAST = NOW // 3600 * 3600 + 1800
"""In this minute one hour alone may still grow."""
GOOD = a_listing(*keys(8, 7))
RECORDS = {ApiPath.BALANCE: a_balance(), ApiPath.STATUS: GatewayStatus(has_usage=True)}


def a_stage(rows, *, mode="model", by_key=None, status=None, **account):
    """Build a stage with usage *rows* by model, and *by_key*, of which keys and status were read."""
    usage = {False: rows} | ({} if by_key is None else {True: by_key})
    values = RECORDS | ({} if status is None else {ApiPath.STATUS: status})
    return Stage(
        client=FakeClient(listings=[GOOD], values=values, usage=usage),
        account={"usage": mode, **account},
        runtime=FakeRuntime(now=HALF_PAST),
    )


def begun(played):
    """Read keys, balance and status once, and the usage."""
    played.run(played.refresher.listing.refresh())
    played.poll(ApiPath.BALANCE)
    played.poll(ApiPath.STATUS)
    played.poll(ApiPath.USAGE)
    return played


def counted(played):
    """Sum the quota of all counters."""
    return sum(row.quota for row in played.state.usage.rows)


def grown(played, seconds=300):
    """Let *seconds* pass, read the usage again, and return by how much the counters grew."""
    before = counted(played)
    played.runtime.pass_by(seconds)
    played.poll(ApiPath.USAGE)
    return counted(played) - before


def test_usage_is_counted_by_what_the_hour_grows_by():
    played = begun(a_stage(used(5)))
    played.client.usage[False] = used(7)

    assert grown(played) == 2
    assert played.poll(ApiPath.USAGE) == 300


@pytest.mark.parametrize("status", [GatewayStatus(), not_offered()])
def test_usage_is_not_asked_for_where_the_gateway_records_none(status):
    played = begun(a_stage(used(5), status=status))

    assert played.client.usage_asked == []
    assert isinstance(played.state.endpoints.usage, Unknown)


def test_usage_is_read_as_soon_as_it_is_known_that_the_gateway_records_it():
    played = Stage(
        client=FakeClient(listings=[GOOD], values=dict(RECORDS), usage={False: used(5)}),
        account={"usage": "model"},
        runtime=VirtualRuntime(),
    )
    played.run_for(1)

    assert played.state.usage is not None


def test_usage_that_fails_is_kept_until_stale_after_and_then_absent():
    played = begun(a_stage(used(5)))
    known = counted(played)
    played.client.usage[False] = failure(Reason.SERVER_ERROR)
    seen = []
    for _ in range(2):
        played.runtime.pass_by(1_800)
        played.poll(ApiPath.USAGE)
        played.run(played.refresher.access.store.age())
        seen.append(played.state.usage and counted(played))

    assert isinstance(played.state.endpoints.usage, Failing)
    assert seen == [known, None]


def test_usage_that_stops_is_logged_once_and_again_when_it_comes_back():
    played = begun(a_stage(used(5)))
    for answer in (failure(Reason.SERVER_ERROR), failure(Reason.SERVER_ERROR), used(6)):
        played.client.usage[False] = answer
        played.poll(ApiPath.USAGE)
        played.run(played.refresher.listing.refresh())

    lines = [entry for entry in played.logs if entry["event"].startswith("endpoint")]
    assert [(entry["event"], entry["path"]) for entry in lines] == [
        ("endpoint failed", "/api/data/self"),
        ("endpoint recovered", "/api/data/self"),
    ]


def test_usage_that_is_denied_after_it_answered_is_failing_and_not_none():
    played = begun(a_stage(used(5)))
    played.client.usage[False] = not_offered()
    played.poll(ApiPath.USAGE)

    assert played.state.endpoints.usage.failure.reason is Reason.INVALID_RESPONSE
    assert played.state.usage is not None


def test_usage_that_a_gateway_denies_from_the_start_is_not_offered():
    played = begun(a_stage(not_offered()))

    assert played.state.endpoints.usage == NotOffered()


def test_counting_goes_on_after_a_failure_without_losing_anything():
    played = begun(a_stage(used(5)))
    played.client.usage[False] = failure(Reason.TIMEOUT)
    played.poll(ApiPath.USAGE)
    played.client.usage[False] = used(9)

    assert grown(played) == 4


def test_usage_by_key_is_counted_for_known_keys_alone():
    rows = used(5, key_id=7) | used(9, key_id=6)
    played = begun(a_stage({}, mode="key-model", by_key=rows))

    assert {row.key_id for row in played.state.usage.rows} == {7}


def test_usage_by_key_waits_for_the_first_listing():
    played = a_stage({}, mode="key-model", by_key=used(5, key_id=7))
    played.poll(ApiPath.STATUS)
    played.poll(ApiPath.USAGE)
    before = list(played.client.usage_asked)
    begun(played)

    assert before == []
    assert played.state.usage is not None


def test_a_gateway_that_does_not_sum_by_key_is_asked_by_model():
    played = begun(a_stage(used(5), mode="key-model"))
    played.client.usage[False] = used(6)

    assert grown(played) == 1


def test_trouble_for_a_while_does_not_end_the_count_by_key():
    played = begun(a_stage({}, mode="key-model", by_key=used(5, key_id=7)))
    for answer in (not_offered(), failure(Reason.UNAUTHORIZED), used(6, key_id=7)):
        played.client.usage[True] = answer
        played.poll(ApiPath.USAGE)

    assert {row.key_id for row in played.state.usage.rows} == {7}


def test_another_account_behind_the_token_begins_its_counters_and_its_month_again():
    played = a_stage(used(5))
    played.client.values[ApiPath.BALANCE] = a_balance(account_id=1)
    begun(played)
    played.client.values[ApiPath.BALANCE] = a_balance(account_id=2)
    played.client.usage[False] = used(1, model="of the other account")
    begun(played)

    assert {row.model for row in played.state.usage.rows} == {"of the other account"}
    assert {model for model, *_ in played.state.usage.spending.models} == {"of the other account"}


def test_a_renamed_key_is_renamed_in_its_usage_by_the_listing_that_shows_it():
    played = begun(a_stage({}, mode="key-model", by_key=used(5, key_id=7)))
    played.client.listings = [a_listing(an_api_key(id=7, name="shop", group="vip"))]
    played.refreshes(1)

    assert [(row.key_name, row.group) for row in played.published[-1].usage.rows] == [
        ("shop", "vip")
    ]


def test_hours_are_those_of_the_gateways_clock():
    played = a_stage(used(5))
    played.client.dialect.clock_skew = 3_600.0
    begun(played)

    hour = HALF_PAST - 1800 - 3600
    assert (hour, hour, False) in played.client.usage_asked
    assert (hour + 3600, hour + 3600, False) not in played.client.usage_asked


# The month.


def is_month(first, last):
    return last - first > 24 * 3600


def months_asked(played):
    return sum(is_month(first, last) for first, last, _ in played.client.usage_asked)


def test_the_month_is_summed_once_in_every_hour():
    played = begun(a_stage(used(5)))
    asked = []
    for _ in range(12):
        played.runtime.pass_by(300)
        played.poll(ApiPath.USAGE)
        asked.append(months_asked(played))

    # The two weeks before today are read in two requests.
    assert asked == [2] * 5 + [4] * 7


@pytest.mark.parametrize("error", [failure(Reason.TIMEOUT), not_offered()])
def test_a_month_that_cannot_be_read_holds_no_counter_up_and_is_read_with_the_next(error):
    played = a_stage(used(5))
    read_usage = played.client.read_usage
    trouble = [error]

    async def read(token, first, last, *, by_key):
        rows = await read_usage(token, first, last, by_key=by_key)
        if is_month(first, last) and trouble:
            raise trouble.pop()
        return rows

    played.client.read_usage = read
    begun(played)
    first = played.state.usage
    played.poll(ApiPath.USAGE)

    assert (first.spending, len(first.rows)) == (None, 1)
    assert played.state.usage.spending.models == (("gpt-4o", 5, 15),)


def test_a_month_whose_weeks_have_too_many_rows_is_read_by_the_day_from_then_on():
    """Two weeks of 5 units a day."""
    played = a_stage(used(5))
    read_usage = played.client.read_usage

    async def read(token, first, last, *, by_key):
        rows = await read_usage(token, first, last, by_key=by_key)
        if is_month(first, last):
            raise failure(Reason.INVALID_RESPONSE)
        return rows

    played.client.read_usage = read
    begun(played)
    spending = played.state.usage.spending
    played.runtime.pass_by(3600)
    played.poll(ApiPath.USAGE)

    days_before = datetime.fromtimestamp(NOW, UTC).day - 1
    assert spending.models == (("gpt-4o", 5, 5 * (days_before + 1)),)
    assert months_asked(played) == 1


def test_the_month_by_key_is_read_by_key_and_follows_a_renamed_key():
    played = begun(a_stage({}, mode="key-model", by_key=used(5, key_id=7)))
    before = played.state.usage.month
    played.client.listings = [a_listing(an_api_key(id=7, name="shop", group="vip"))]
    played.refreshes(1)

    # Today and two weeks before it are read in three requests, with 5 units each.
    assert [(row.key_name, row.quota) for row in before] == [("key 7", 15)]
    assert played.state.usage.spending.month_by_key == {7: 15}
    assert [(row.key_name, row.group, row.quota) for row in played.state.usage.month] == [
        ("shop", "vip", 15)
    ]


# A reload.


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({"interval": 30.0}, True),
        ({"usage_max_series": 5}, True),
        ({"base_url": "https://other"}, False),
        ({"user_id": 7}, False),
    ],
)
def test_a_changed_account_counts_on_where_address_and_user_stay(change, goes_on):
    played = begun(a_stage(used(5)))
    played.client.usage[False] = used(8)
    grown(played)
    before = counted(played)
    changed = Stage(client=played.client, account=played.account | change, runtime=played.runtime)
    changed.refresher.take_over(played.refresher)
    shown = changed.state.usage
    begun(changed)
    played.client.usage[False] = used(9)

    assert (shown is not None) is goes_on
    assert grown(changed) == 1
    if goes_on:
        assert counted(changed) == before + 1
