"""Which hours are read, and what becomes of their sums. Times are made up, in hours from 1,000."""

import pytest
from domain import an_api_key, used

from exporter.model import Amounts, MonthRow, Series, Usage, UsageRow
from exporter.refresh.usage import (
    DAY,
    HOUR,
    Ledger,
    days_of_month,
    gateway_time,
    month_rows,
    quota_by_series,
    spending,
)

NOON = 1_000 * HOUR
DAY_BEFORE = NOON - 24 * HOUR
WEB = an_api_key(id=7, name="web", group="vip")
MAIL = an_api_key(id=8, name="mail", group="")


def small(quota):
    return used(quota, model="small")


def a_ledger(max_series: int = 100) -> Ledger:
    """Begin to count at noon, before anything is used."""
    ledger = Ledger(max_series=max_series)
    read(ledger, NOON)
    return ledger


def read(ledger: Ledger, now: float, *sums, hour: int | None = None, keys=None) -> dict[str, int]:
    """Answer the span of *hour*, else of the current one, with *sums*, all else with none.

    Return quota by model.
    """
    return quotas(usage_read(ledger, now, *sums, hour=hour, keys=keys))


def usage_read(ledger: Ledger, now: float, *sums, hour: int | None = None, keys=None) -> Usage:
    reported = {}
    for each in sums:
        reported |= each
    if hour is None:
        hour = int(now) // HOUR * HOUR
    readings = []
    for first, last in ledger.due(now):
        found = reported if first <= hour <= last else {}
        readings.append(((first, last), found))
    return ledger.record(readings, now, keys)


def quotas(usage: Usage) -> dict[str, int]:
    return {row.model: row.quota for row in usage.rows}


@pytest.mark.parametrize(
    ("now", "spans"),
    [
        (NOON + 899, [(DAY_BEFORE, NOON - 2 * HOUR), (NOON - HOUR, NOON - HOUR), (NOON, NOON)]),
        (NOON + 900, [(DAY_BEFORE, NOON - HOUR), (NOON, NOON)]),
    ],
    ids=["the hour before is still written", "it is closed"],
)
def test_the_first_reading_is_of_a_day(now, spans):
    assert Ledger(max_series=100).due(now) == spans


def test_later_readings_are_of_the_open_hours_alone():
    ledger = Ledger(max_series=100)
    read(ledger, NOON + 1_000)

    assert ledger.due(NOON + 1_300) == [(NOON, NOON)]
    assert ledger.due(NOON + HOUR + 300) == [(NOON, NOON), (NOON + HOUR, NOON + HOUR)]


def test_hours_that_could_not_be_read_are_read_later_a_day_at_most():
    ledger = Ledger(max_series=100)
    read(ledger, NOON + 1_000)

    assert ledger.due(NOON + 5 * HOUR + 1_000) == [
        (NOON, NOON + 4 * HOUR),
        (NOON + 5 * HOUR, NOON + 5 * HOUR),
    ]
    assert ledger.due(NOON + 90 * HOUR + 1_000)[0] == (NOON + 66 * HOUR, NOON + 89 * HOUR)


def test_what_the_first_reading_finds_is_shown_at_zero_and_only_its_growth_is_counted():
    ledger = Ledger(max_series=100)

    assert read(ledger, NOON + 900, small(5)) == {"small": 0}
    assert read(ledger, NOON + 1_200, small(5)) == {"small": 0}
    assert read(ledger, NOON + 1_500, small(9)) == {"small": 4}


def test_models_of_the_day_before_are_shown_at_zero_and_count_from_their_first_use():
    ledger = Ledger(max_series=100)

    assert read(ledger, NOON + 900, small(5), hour=NOON - 9 * HOUR) == {"small": 0}
    assert read(ledger, NOON + 1_200, small(3)) == {"small": 3}


def test_a_counter_that_is_not_of_the_first_reading_shows_zero_once_and_then_all_of_it():
    ledger = Ledger(max_series=100)
    read(ledger, NOON + 900, small(5))
    sums = (small(6), used(7, model="new"))

    assert read(ledger, NOON + 1_200, *sums) == {"small": 1, "new": 0}
    assert read(ledger, NOON + 1_500, *sums) == {"small": 1, "new": 7}


def test_tokens_and_requests_are_counted_as_quota_is():
    ledger = a_ledger()
    read(ledger, NOON + 300, small(5))

    assert usage_read(ledger, NOON + 600, small(8)) == Usage(
        rows=(UsageRow(model="small", quota=8, tokens=16, requests=1),)
    )


def test_a_new_hour_is_added_to_the_one_before():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, small(5))

    assert read(ledger, NOON + HOUR + 1_000, small(7)) == {"small": 12}


def test_what_an_hour_grew_by_until_a_quarter_of_an_hour_after_its_end_is_counted():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, small(5))

    assert read(ledger, NOON + HOUR + 899, small(6), hour=NOON) == {"small": 6}
    assert read(ledger, NOON + HOUR + 1_200, small(8), hour=NOON) == {"small": 8}
    assert read(ledger, NOON + HOUR + 1_500, small(9), hour=NOON) == {"small": 8}


def test_a_sum_that_shrank_adds_nothing_until_it_exceeds_what_was_counted():
    ledger = a_ledger()
    read(ledger, NOON + 300, small(0))
    seen = []
    for number, quota in enumerate((10, 4, 10, 11)):
        seen.append(read(ledger, NOON + 900 + number, small(quota))["small"])

    assert seen == [10, 10, 10, 11]


def test_open_hours_that_are_read_together_after_a_gap_are_not_counted_twice():
    ledger = a_ledger()
    later = NOON + HOUR + 300
    spans = ((NOON, NOON), (NOON + HOUR, NOON + HOUR))
    ledger.record([(spans[0], small(5)), (spans[1], small(7))], later)

    assert read(ledger, NOON + 5 * HOUR + 1_000, small(13), hour=NOON) == {"small": 13}


def test_a_clock_that_jumps_ahead_and_back_counts_nothing_twice_and_goes_on():
    ledger = a_ledger()
    read(ledger, NOON + 500, small(0))
    seen = [
        read(ledger, NOON + 1_000, small(5)),
        read(ledger, NOON + 9 * HOUR, small(6), hour=NOON),
        read(ledger, NOON + 1_600, small(8)),
        read(ledger, NOON + 1_900, small(9)),
    ]

    assert [quota["small"] for quota in seen] == [5, 6, 6, 7]


def test_an_hour_that_was_closed_does_not_count_again_after_a_clock_went_forth_and_twice_back():
    ledger = a_ledger()
    read(ledger, NOON + 500, small(0))
    read(ledger, NOON + HOUR + 1_200, small(1), hour=NOON)
    read(ledger, NOON - HOUR + 1_200)

    assert read(ledger, NOON + 1_200, small(1)) == {"small": 1}


def test_usage_before_the_start_is_not_counted_where_a_clock_is_set_back_over_it():
    ledger = a_ledger()

    assert read(ledger, NOON - 50 * HOUR, small(5)) == {"small": 0}
    assert read(ledger, NOON - 50 * HOUR + 300, small(5)) == {"small": 0}


@pytest.mark.parametrize(
    ("skew", "expected"),
    [(None, 10 * DAY), (2_400.5, 10 * DAY - 2_400.5), (-DAY, 11 * DAY), (DAY + 1, 10 * DAY)],
    ids=["unknown", "ahead", "a day behind", "not believed"],
)
def test_hours_are_those_of_the_gateways_clock(skew, expected):
    assert gateway_time(10 * DAY, skew) == expected


def test_what_exceeds_the_limit_is_summed_as_other():
    ledger = a_ledger(max_series=1)
    sums = (small(1), used(2, model="b"), used(4, model="c"))
    first = usage_read(ledger, NOON + 300, *sums)
    second = usage_read(ledger, NOON + 600, *sums)

    assert (quotas(first), first.folded) == ({"small": 0, "other": 0}, 1)
    assert quotas(second) == {"small": 1, "other": 6}


def test_a_model_named_other_shares_the_series_of_what_exceeds_the_limit():
    ledger = a_ledger(max_series=1)
    sums = (used(1, model="other"), small(2), used(4, model="b"))
    read(ledger, NOON + 300, *sums)

    assert read(ledger, NOON + 600, *sums) == {"other": 5, "small": 2}


def test_a_model_named_other_of_a_key_is_a_series_of_that_key():
    ledger = a_ledger(max_series=1)
    sums = (used(1, model="other", key_id=7), used(2, model="b"))
    usage_read(ledger, NOON + 300, *sums, keys={7: WEB})
    usage = usage_read(ledger, NOON + 600, *sums, keys={7: WEB})

    assert [(row.model, row.key_name, row.quota) for row in usage.rows] == [
        ("other", "web", 1),
        ("other", "", 2),
    ]


def test_what_was_folded_is_not_counted_again_by_a_series_of_its_own():
    """The series of a key that is gone make room for others."""
    ledger = a_ledger(max_series=1)
    keys = {7: WEB, 8: MAIL}
    sums = (used(1, key_id=7), used(2, key_id=8))
    usage_read(ledger, NOON + 300, *sums, keys=keys)
    usage_read(ledger, NOON + 600, *sums, keys=keys)
    del keys[7]
    usage_read(ledger, NOON + 900, used(2, key_id=8), keys=keys)
    usage = usage_read(ledger, NOON + 1_200, used(5, key_id=8), keys=keys)

    assert {(row.key_id, row.quota) for row in usage.rows} == {(0, 2), (8, 3)}


def test_many_models_that_are_new_in_each_reading_leave_no_more_behind_than_the_limit():
    ledger = a_ledger(max_series=50)
    for number in range(5):
        names = [f"{number}-{name}" for name in range(10_000)]
        sums = {Series(model=name): Amounts(quota=1) for name in names}
        usage = usage_read(ledger, NOON + 300 * number, sums)

    assert len(usage.rows) == 51
    assert usage.folded == 50
    assert everything_kept(ledger) < 1_000


def everything_kept(thing: object, seen: set[int] | None = None) -> int:
    """Count the objects that *thing* holds, itself included."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | str | int | float | None.__class__):
        return 0
    seen.add(id(thing))
    if isinstance(thing, dict):
        inner = [*thing, *thing.values()]
    elif isinstance(thing, set | list | tuple):
        inner = list(thing)
    else:
        inner = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ())]
    return 1 + sum(everything_kept(each, seen) for each in inner)


def test_a_series_has_the_name_and_group_of_its_key_as_listed():
    ledger = Ledger(9)
    sums = (used(1, key_id=7), used(2, key_id=8), used(3))
    usage = usage_read(ledger, NOON, *sums, keys={7: WEB, 8: MAIL})

    assert [(row.key_id, row.key_name, row.group) for row in usage.rows] == [
        (7, "web", "vip"),
        (8, "mail", ""),
        (0, "", ""),
    ]


def test_all_series_of_a_renamed_key_begin_at_zero_at_the_same_moment_and_lose_nothing():
    ledger = Ledger(9)
    renamed = {7: an_api_key(id=7, name="shop", group="")}
    sums = used(1, key_id=7) | used(1, model="idle", key_id=7)
    usage_read(ledger, NOON, sums, keys={7: WEB})
    usage_read(ledger, NOON + 300, sums | used(5, key_id=7), keys={7: WEB})
    relabelled = ledger.relabel(renamed)
    after = usage_read(ledger, NOON + 600, sums | used(8, key_id=7), keys=renamed)

    assert labels_and_quota(relabelled) == [
        ("gpt-4o", "shop", "", 0),
        ("idle", "shop", "", 0),
    ]
    assert labels_and_quota(after) == [("gpt-4o", "shop", "", 3), ("idle", "shop", "", 0)]


def test_a_key_that_is_renamed_when_usage_is_read_shows_zero_first():
    ledger = Ledger(9)
    renamed = {7: an_api_key(id=7, name="shop", group="vip")}
    usage_read(ledger, NOON, used(1, key_id=7), keys={7: WEB})
    first = usage_read(ledger, NOON + 300, used(5, key_id=7), keys=renamed)
    second = usage_read(ledger, NOON + 600, used(5, key_id=7), keys=renamed)

    assert labels_and_quota(first) == [("gpt-4o", "shop", "vip", 0)]
    assert labels_and_quota(second) == [("gpt-4o", "shop", "vip", 4)]


def labels_and_quota(usage: Usage) -> list[tuple[str, str, str, int]]:
    return [(row.model, row.key_name, row.group, row.quota) for row in usage.rows]


def test_the_series_of_a_key_go_with_the_key():
    ledger = Ledger(9)
    sums = (used(1, key_id=7), used(2, key_id=8), used(4, key_id=9))
    before = usage_read(ledger, NOON, *sums, keys={7: WEB, 8: MAIL})
    listed = ledger.relabel({7: WEB})
    after = usage_read(ledger, NOON + 300, *sums, keys={7: WEB})

    assert [row.key_id for row in before.rows] == [7, 8]
    assert [row.key_id for row in listed.rows] == [7]
    assert [row.key_id for row in after.rows] == [7]


def test_a_model_without_growth_for_thirty_days_goes():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, small(5))

    assert read(ledger, NOON + 29 * 24 * HOUR) == {"small": 5}
    assert read(ledger, NOON + 31 * 24 * HOUR) == {}


def test_a_model_that_is_reported_without_growth_goes_after_thirty_days_too():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, small(5))
    nothing = {Series(model="small"): Amounts()}

    assert read(ledger, NOON + 29 * 24 * HOUR, nothing) == {"small": 5}
    assert read(ledger, NOON + 31 * 24 * HOUR, nothing) == {}


# The month. The 31st of October 2025, 13:20 UTC.

THE_31ST = 1_761_916_800
TODAY = 1_761_868_800


def test_the_day_and_the_days_before_it_in_the_month_are_read_a_week_at_most_at_once():
    first = TODAY - 30 * DAY

    assert days_of_month(THE_31ST) == [
        (TODAY, TODAY + 13 * HOUR),
        (first, first + 7 * DAY - HOUR),
        (first + 7 * DAY, first + 14 * DAY - HOUR),
        (first + 14 * DAY, first + 21 * DAY - HOUR),
        (first + 21 * DAY, first + 28 * DAY - HOUR),
        (first + 28 * DAY, TODAY - HOUR),
    ]
    assert days_of_month(first + 5) == [(first, first)]


def test_the_most_expensive_models_of_the_month_come_first_and_the_rest_is_summed():
    today = used(5, model="m1") | used(1, model="m9") | used(0, model="unused")
    week = {}
    for number in range(1, 11):
        week |= used(10 * number, model=f"m{number}")
    found = spending(THE_31ST, today, week, used(1, model="m10"))

    assert found.read_at == THE_31ST
    assert found.models == (
        ("m10", 0, 101),
        ("m9", 1, 91),
        *((f"m{number}", 0, 10 * number) for number in range(8, 2, -1)),
        ("other models", 5, 35),
    )


def test_without_spending_no_model_is_named():
    assert spending(THE_31ST, used(0), used(0, model="b")).models == ()


def test_the_month_is_summed_by_series_and_what_is_beyond_the_limit_as_other():
    today = used(5, model="dear") | used(1, model="cheap", key_id=7)
    week = used(20, model="dear") | used(2, model="cheap", key_id=7) | used(4, model="cheaper")

    assert quota_by_series(today, week, max_series=9) == {
        Series(model="dear"): 25,
        Series(model="cheap", key_id=7): 3,
        Series(model="cheaper"): 4,
    }
    assert quota_by_series(today, week, max_series=1) == {
        Series(model="dear"): 25,
        Series(model="other"): 7,
    }


def test_the_month_has_the_names_and_groups_of_the_keys_and_leaves_out_keys_that_are_gone():
    quota = {
        Series(model="m"): 1,
        Series(model="m", key_id=7): 2,
        Series(model="m", key_id=8): 3,
    }

    assert month_rows(quota, {7: an_api_key(id=7, name="shop", group="vip")}) == (
        MonthRow(model="m", quota=1),
        MonthRow(model="m", key_id=7, key_name="shop", group="vip", quota=2),
    )


def test_the_month_of_each_key_is_summed_over_its_models_where_usage_is_by_key():
    today = used(5, model="a", key_id=7) | used(1, model="b", key_id=7) | used(9, model="a")
    week = used(20, model="a", key_id=7) | used(2, model="b", key_id=8)

    assert spending(THE_31ST, today, week, by_key=True).month_by_key == {7: 26, 8: 2, 0: 9}
    assert spending(THE_31ST, today, week).month_by_key is None
