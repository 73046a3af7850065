"""What one account used hour by hour. Times are made up, in hours from 1,000."""

import pytest
from domain import an_api_key, used

from exporter.backfill.history import LARGEST, History, Period, used_hours
from exporter.model import Amounts, Series

HOUR = 3_600
NOON = 1_000 * HOUR
NOW = NOON + 100 * HOUR


def a_period(*, hours=3, end=None):
    """Make a period of the *hours* that begin at noon."""
    return Period(first=NOON, end=NOON + hours * HOUR if end is None else end, now=NOW)


def quotas(history):
    return {labels.model: list(growth.quota) for labels, growth in history.labelled()}


@pytest.mark.parametrize(
    ("end", "first", "hours"),
    [
        pytest.param(NOON, NOON - 24 * HOUR, 24, id="on the hour"),
        pytest.param(NOON + 1, NOON - 23 * HOUR, 24, id="a second after the hour"),
        pytest.param(NOON - 1, NOON - 24 * HOUR, 24, id="a second before the hour"),
        pytest.param(NOON + 1800.9, NOON - 23 * HOUR, 24, id="half past"),
    ],
)
def test_a_period_has_the_whole_hours_of_its_days_and_the_part_of_its_last_hour(end, first, hours):
    """A gateway rejects a range of more than 30 days, so a day is never 25 hours."""
    period = Period.until(end, 1, NOW)

    assert period.first == first
    assert len(period.hours) == hours


def test_what_is_used_in_an_hour_is_its_growth():
    history = History("main", a_period(), max_series=9)
    history.add(NOON + HOUR, used(5, model="m"))
    history.add(NOON + 2 * HOUR, used(7, model="m") | used(1, model="n"))

    assert quotas(history) == {"m": [0, 5, 7], "n": [0, 0, 1]}
    assert [growth.first_hour for _, growth in history.labelled()] == [1, 2]


def test_an_hour_beyond_the_period_is_left_out():
    history = History("main", a_period(), max_series=9)
    for hour in (NOON - HOUR, NOON + 3 * HOUR):
        history.add(hour, used(5))

    assert quotas(history) == {}


def test_what_is_beyond_the_limit_is_summed_as_other():
    history = History("main", a_period(hours=1), max_series=2)
    for model in ("a", "b", "c", "d"):
        history.add(NOON, used(5, model=model))

    assert quotas(history) == {"a": [5], "b": [5], "other": [10]}


def test_usage_of_keys_that_are_gone_is_left_out_and_that_of_no_key_stays():
    history = History("main", a_period(hours=1), max_series=9, keys={7: an_api_key(id=7)})
    sums = used(1, key_id=7) | used(2, key_id=8) | used(4, key_id=0)
    history.add(NOON, sums)

    found = {labels.key and labels.key.id: list(g.quota) for labels, g in history.labelled()}
    assert found == {7: [1], None: [4]}


def test_amounts_beyond_what_an_array_holds_are_capped():
    history = History("main", a_period(hours=1), max_series=9)
    history.add(NOON, {Series(model="m"): Amounts(quota=LARGEST)})
    history.add(NOON, {Series(model="m"): Amounts(quota=LARGEST)})

    assert quotas(history) == {"m": [LARGEST]}


def test_hours_without_usage_need_no_request():
    by_hour = {NOON: used(1), NOON + HOUR: {}, NOON + 9 * HOUR: used(1)}

    assert used_hours(by_hour, a_period()) == [NOON]
