"""Which hours are read, and what becomes of their sums. Hours are counted from 1,000; times are made up."""

import pytest

from exporter.model import Usage, UsageRow
from exporter.refresh.usage import DAY, HOUR, Ledger, days_of_month, spending

NOON = 1_000 * HOUR
DAY_BEFORE = NOON - 24 * HOUR


def a_row(quota: int = 0, *, model: str = "small", **over) -> UsageRow:
    return UsageRow(**{"model": model, "quota": quota, "tokens": 2 * quota, "requests": 1} | over)


def read(ledger: Ledger, now: float, *rows: UsageRow, hour: int | None = None) -> dict[str, int]:
    """Answer the span of *hour*, else of the current one, with *rows*, all else with none; return quota by model."""
    hour = int(now) // HOUR * HOUR if hour is None else hour
    readings = [(span, rows if span[0] <= hour <= span[1] else ()) for span in ledger.due(now)]
    return quotas(ledger.record(readings, now))


def quotas(usage: Usage) -> dict[str, int]:
    return {row.model: row.quota for row in usage.rows}


def a_ledger(max_series: int = 100) -> Ledger:
    return Ledger(max_series=max_series)


@pytest.mark.parametrize(
    ("now", "spans"),
    [
        (NOON + 899, [(DAY_BEFORE, NOON - 2 * HOUR), (NOON - HOUR, NOON - HOUR), (NOON, NOON)]),
        (NOON + 900, [(DAY_BEFORE, NOON - HOUR), (NOON, NOON)]),
    ],
    ids=["the hour before is still written", "it is closed"],
)
def test_the_first_reading_is_of_a_day(now, spans):
    assert a_ledger().due(now) == spans


def test_later_readings_are_of_the_open_hours_alone():
    ledger = a_ledger()
    read(ledger, NOON + 1_000)

    assert ledger.due(NOON + 1_300) == [(NOON, NOON)]
    assert ledger.due(NOON + HOUR + 300) == [(NOON, NOON), (NOON + HOUR, NOON + HOUR)]


def test_hours_that_could_not_be_read_are_read_later_a_day_at_most():
    ledger = a_ledger()
    read(ledger, NOON + 1_000)

    assert ledger.due(NOON + 5 * HOUR + 1_000) == [
        (NOON, NOON + 4 * HOUR),
        (NOON + 5 * HOUR, NOON + 5 * HOUR),
    ]
    assert ledger.due(NOON + 90 * HOUR + 1_000)[0] == (NOON + 66 * HOUR, NOON + 89 * HOUR)


def test_growth_of_an_hour_is_added():
    ledger = a_ledger()

    assert [
        read(ledger, NOON + second, a_row(quota))
        for second, quota in ((900, 5), (1_200, 5), (1_500, 9))
    ] == [
        {"small": 5},
        {"small": 5},
        {"small": 9},
    ]


def test_rows_of_one_model_are_summed_with_their_tokens_and_requests():
    usage = a_ledger().record([((NOON, NOON), [a_row(5), a_row(3)])], NOON)

    assert usage == Usage(rows=(UsageRow(model="small", quota=8, tokens=16, requests=2),))


def test_a_new_hour_is_added_to_the_one_before():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, a_row(5))

    assert read(ledger, NOON + HOUR + 1_000, a_row(7)) == {"small": 12}


def test_a_sum_that_shrank_adds_nothing_until_it_exceeds_what_was_counted():
    ledger = a_ledger()

    assert [
        read(ledger, NOON + 900 + n, a_row(quota))["small"]
        for n, quota in enumerate((10, 4, 10, 11))
    ] == [
        10,
        10,
        10,
        11,
    ]


def test_open_hours_that_are_read_together_after_a_gap_are_not_counted_twice():
    ledger = a_ledger()
    spans = ((NOON, NOON), (NOON + HOUR, NOON + HOUR))
    ledger.record([(spans[0], [a_row(5)]), (spans[1], [a_row(7)])], NOON + HOUR + 300)

    assert read(ledger, NOON + 5 * HOUR + 1_000, a_row(13), hour=NOON) == {"small": 13}


def test_a_clock_that_jumps_ahead_and_back_counts_nothing_twice_and_goes_on():
    ledger = a_ledger()
    seen = [
        read(ledger, NOON + 1_000, a_row(5)),
        read(ledger, NOON + 9 * HOUR, a_row(6), hour=NOON),
        read(ledger, NOON + 1_600, a_row(8)),
        read(ledger, NOON + 1_900, a_row(9)),
    ]

    assert [quota["small"] for quota in seen] == [5, 6, 6, 7]


def test_a_counter_that_is_not_of_the_first_reading_begins_at_zero():
    ledger = a_ledger()
    read(ledger, NOON + 900, a_row(5))
    rows = (a_row(6), a_row(7, model="new"))

    assert read(ledger, NOON + 1_200, *rows) == {"small": 6, "new": 0}
    assert read(ledger, NOON + 1_500, *rows) == {"small": 6, "new": 7}


def test_what_exceeds_the_bound_is_summed_as_other():
    ledger = a_ledger(max_series=1)
    rows = [a_row(1), a_row(2, model="b"), a_row(4, model="c")]
    usage = ledger.record([((NOON, NOON), rows)], NOON)

    assert (quotas(usage), usage.folded) == ({"small": 1, "other": 6}, 2)


def test_a_model_named_other_is_in_the_same_series_as_what_exceeds_the_bound():
    usage = a_ledger(1).record(
        [((NOON, NOON), [a_row(1, model="other"), a_row(2, model="b")])], NOON
    )

    assert quotas(usage) == {"other": 3}


def test_the_series_of_a_key_go_with_the_key():
    ids = [7, 8]
    ledger = Ledger(9, keys=lambda: ids)
    rows = (a_row(1, key_id=7, key_name="web", group="vip"), a_row(2, key_id=8), a_row(4, key_id=9))
    before = ledger.record([((NOON, NOON), rows)], NOON + 900)
    ids.remove(8)
    after = ledger.record([((NOON, NOON), rows)], NOON + 1_200)

    assert [row.key_id for row in before.rows] == [7, 8]
    assert after.rows == (rows[0],)


def test_a_model_without_growth_for_thirty_days_goes():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, a_row(5))

    assert read(ledger, NOON + 29 * 24 * HOUR) == {"small": 5}
    assert read(ledger, NOON + 31 * 24 * HOUR) == {}


def test_a_model_that_is_reported_without_growth_goes_after_thirty_days_too():
    ledger = a_ledger()
    read(ledger, NOON + 1_000, a_row(5))
    day_29, day_31 = (NOON + days * 24 * HOUR for days in (29, 31))

    assert read(ledger, day_29, a_row(0, requests=0)) == {"small": 5}
    assert read(ledger, day_31, a_row(0, requests=0)) == {}


def test_a_negative_sum_counts_as_none():
    assert read(a_ledger(), NOON + 1_000, a_row(-5)) == {"small": 0}


# The month. The 31st of October 2025, 13:20 UTC.

THE_31ST = 1_761_916_800
TODAY = 1_761_868_800


def test_the_day_and_the_days_before_it_in_the_month_are_read():
    first = TODAY - 30 * DAY

    assert days_of_month(THE_31ST) == [(TODAY, TODAY + 13 * HOUR), (first, TODAY - HOUR)]
    assert days_of_month(first + 5) == [(first, first)]


def test_the_most_expensive_models_of_the_month_come_first_and_the_rest_is_summed():
    today = [a_row(5, model="m1"), a_row(1, model="m9"), a_row(-7, model="refunded")]
    earlier = [a_row(10 * number, model=f"m{number}") for number in range(1, 11)] + [
        a_row(1, model="m10")
    ]
    found = spending(THE_31ST, today, earlier)

    assert found.read_at == THE_31ST
    assert found.models == (
        ("m10", 0, 101),
        ("m9", 1, 91),
        *((f"m{number}", 0, 10 * number) for number in range(8, 2, -1)),
        ("other models", 5, 35),
    )


def test_without_spending_no_model_is_named():
    assert spending(THE_31ST, [a_row(0)], [a_row(-1)]).models == ()
