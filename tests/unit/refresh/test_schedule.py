"""When the next refresh begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.refresh.schedule import first_delay, next_delay


def delay(interval=60.0, **over):
    return next_delay(
        interval, **({"took": 0.0, "failures": 0, "retry_after": None, "random": 0.5} | over)
    )


@pytest.mark.parametrize(
    ("interval", "failures", "seconds"),
    [
        (60, 0, 60),
        (60, 1, 60),
        (60, 2, 120),
        (60, 4, 480),
        (60, 5, 600),
        (60, 10**6, 600),
        (6, 9, 60),
        (900, 9, 900),
    ],
)
def test_failures_running_double_the_pause_up_to_ten_intervals_and_ten_minutes(
    interval, failures, seconds
):
    assert delay(interval, failures=failures) == seconds


@pytest.mark.parametrize(("took", "seconds"), [(0, 60), (13, 47), (54, 6), (57, 6), (600, 6)])
def test_refreshes_begin_an_interval_apart_but_a_tenth_is_always_left(took, seconds):
    assert delay(took=took) == pytest.approx(seconds)


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 57), (0.5, 60), (1.0, 63)])
def test_chance_spreads_the_refreshes_by_five_per_cent(random, seconds):
    assert delay(random=random) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(0, 60), (-5, 60), (59, 60), (61, 61), (3600, 3600), (3601, 3600), (1e300, 3600)],
)
def test_a_longer_pause_that_the_server_asks_for_wins_up_to_an_hour(retry_after, seconds):
    assert delay(retry_after=retry_after) == seconds


@given(
    interval=st.floats(0.1, 86_400),
    took=st.floats(0, 1e6),
    failures=st.integers(0, 10**9),
    retry_after=st.none() | st.floats(-1e9, 1e12),
    random=st.floats(0, 1),
)
def test_every_pause_is_within_bounds(interval, took, failures, retry_after, random):
    seconds = next_delay(
        interval, took=took, failures=failures, retry_after=retry_after, random=random
    )

    assert interval / 10 <= seconds <= max(interval * 10.5, 3600) * 1.0001


@pytest.mark.parametrize(
    ("position", "accounts", "interval", "seconds"),
    [
        (0, 1, 60, 0),
        (0, 4, 60, 0),
        (1, 4, 60, 0.5),
        (3, 4, 60, 1.5),
        (1, 2, 10, 0.5),
        (99, 100, 3600, 1.98),
    ],
)
def test_first_refreshes_are_staggered_within_two_seconds(position, accounts, interval, seconds):
    assert first_delay(position, accounts, interval) == pytest.approx(seconds)
