"""The demo's books of what models cost agree with what its keys spent, and only grow."""

from functools import partial

from exporter.demo.scenario import HOUR, KEYS
from exporter.demo.usage import MODELS, usage_at

START = 1_750_003_200.0
NOON = int(START)


by_hour, by_key = partial(usage_at, by_key=False), partial(usage_at, by_key=True)


def spent(elapsed):
    return sum(key.spent(elapsed) for key in KEYS)


def test_the_models_share_what_the_keys_spent_within_an_hour():
    rows = by_hour(START, START + 2 * HOUR, NOON + HOUR, NOON + HOUR)

    assert [row["model_name"] for row in rows] == list(MODELS)
    assert {row["created_at"] for row in rows} == {NOON + HOUR}
    assert 0 <= spent(2 * HOUR) - spent(HOUR) - sum(row["quota"] for row in rows) < len(MODELS)


def test_the_present_hour_grows_every_five_minutes_until_it_ends():
    rows = [by_hour(START, START + 60 * minute, NOON, NOON) for minute in (4.9, 5, 9.9, 10, 60, 90)]
    none, *quotas = [sum(row["quota"] for row in each) for each in rows]

    assert none == 0
    assert quotas[0] == quotas[1] < quotas[2] < quotas[3] == quotas[4]


def test_a_day_before_the_start_is_in_the_books():
    assert len(by_hour(START, START, NOON - 24 * HOUR, NOON - HOUR)) == 24 * len(MODELS)


def test_by_key_the_same_is_spent_as_by_model():
    rows = by_key(START, START + HOUR, NOON, NOON)
    by_model = sum(row["quota"] for row in by_hour(START, START + HOUR, NOON, NOON))

    assert {row["token_id"] for row in rows} <= {key.id for key in KEYS}
    assert 0.99 * by_model < sum(row["quota"] for row in rows) <= by_model


def test_thirty_days_before_the_start_are_in_the_books_with_quiet_nights_and_weekends():
    """The start, the 15th of June 2025, is a Sunday."""
    first = NOON // HOUR * HOUR - 30 * 24 * HOUR
    rows = by_hour(START, START, first, NOON - HOUR)
    quota = {}
    for row in rows:
        quota[row["created_at"]] = quota.get(row["created_at"], 0) + row["quota"]
    monday = NOON // (24 * HOUR) * 24 * HOUR - 6 * 24 * HOUR
    saturday = monday + 5 * 24 * HOUR

    assert len(quota) == 30 * 24
    assert quota[monday + 12 * HOUR] > 3 * quota[monday + 3 * HOUR]
    assert quota[monday + 12 * HOUR] > 3 * quota[saturday + 12 * HOUR]
