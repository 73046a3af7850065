"""How money, times and counts are written."""

import pytest
from domain import DAY, NOW

from exporter.formatting import count, duration, moment, money, percent, short, utc

HOUR = 3_600


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0, "$0.00"),
        (1.5, "$1.50"),
        (1234.567, "$1,234.57"),
        (0.0025, "$0.0025"),
        (-0.0025, "\N{MINUS SIGN}$0.0025"),
        (0.000002, "<$0.0001"),
        (-12, "\N{MINUS SIGN}$12.00"),
        (999_999, "$999,999.00"),
        (1_000_000, "$1.00M"),
        (1_234_000, "$1.23M"),
        (2.5e9, "$2.50B"),
        (1.8e13, "$18.00T"),
    ],
)
def test_money_is_short_and_never_rounded_to_nothing(usd, words):
    assert money(usd) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0%"),
        (0.0004, "<0.1%"),
        (0.001, "0.1%"),
        (0.026, "2.6%"),
        (0.0999, "9.9%"),
        (0.1, "10%"),
        (0.29, "29%"),
        (0.999, "99%"),
        (1.0, "100%"),
    ],
)
def test_a_share_is_rounded_down_so_that_it_agrees_with_the_limits(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 seconds"),
        (0.9, "0 seconds"),
        (1, "1 second"),
        (119.9, "119 seconds"),
        (120, "2 minutes"),
        (5 * HOUR - 1, "4 hours"),
        (36 * HOUR, "36 hours"),
        (48 * HOUR, "2 days"),
        (45 * DAY, "45 days"),
        (100 * DAY, "3 months"),
        (800 * DAY, "2 years"),
    ],
)
def test_a_duration_is_one_unit_rounded_down(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (119, "119 s"),
        (7_199, "119 min"),
        (5 * HOUR - 1, "4 h"),
        (2 * DAY, "2 d"),
        (4e8, "4,629 d"),
    ],
)
def test_a_short_duration_fits_a_badge(seconds, words):
    assert short(seconds) == words


def test_a_moment_lies_ahead_or_behind():
    assert (moment(NOW + 120, NOW), moment(NOW - 120, NOW), moment(NOW, NOW)) == (
        "in 2 minutes",
        "2 minutes ago",
        "0 seconds ago",
    )


def test_a_time_no_calendar_holds_is_its_number():
    assert (utc(NOW), utc(2**62), utc(-1)) == (
        "2025-06-15 15:06:40 UTC",
        "4611686018427387904",
        "-1",
    )
    assert (utc(0), utc(253_402_300_799)) == ("1970-01-01 00:00:00 UTC", "9999-12-31 23:59:59 UTC")


def test_one_is_counted_without_an_s():
    assert (count(0, "key"), count(1, "key"), count(1200, "key")) == (
        "0 keys",
        "1 key",
        "1,200 keys",
    )
