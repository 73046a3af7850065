"""When the next refresh begins."""

import pytest
from domain import FakeWorld
from hypothesis import given
from hypothesis import strategies as st

from exporter.refresh.schedule import Heartbeat, first_delay, next_delay


def delay(**over):
    return next_delay(60.0, **({"took": 0.0, "failures": 0, "retry_after": None, "chance": 0.5} | over))


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 60), (1, 60), (2, 120), (3, 240), (4, 480), (5, 600), (6, 600), (10**6, 600)],
)
def test_failures_running_double_the_pause_up_to_ten_intervals(failures, seconds):
    assert delay(failures=failures) == seconds


@pytest.mark.parametrize(("took", "seconds"), [(0, 60), (13, 47), (54, 6), (57, 6), (600, 6)])
def test_refreshes_begin_an_interval_apart_but_a_tenth_is_always_left(took, seconds):
    assert delay(took=took) == pytest.approx(seconds)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 57), (0.5, 60), (1.0, 63)])
def test_chance_spreads_the_refreshes_by_five_per_cent(chance, seconds):
    assert delay(chance=chance) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(0, 60), (-5, 60), (59, 60), (61, 61), (3600, 3600), (3601, 3600), (1e300, 3600)]
)
def test_a_longer_pause_that_the_server_asks_for_wins_up_to_an_hour(retry_after, seconds):
    assert delay(retry_after=retry_after) == seconds


intervals = st.floats(0.1, 86_400)
chances = st.floats(0, 1)


@given(
    interval=intervals,
    took=st.floats(0, 1e6),
    failures=st.integers(0, 10**9),
    retry_after=st.none() | st.floats(-1e9, 1e12),
    chance=chances,
)
def test_every_pause_is_within_bounds(interval, took, failures, retry_after, chance):
    seconds = next_delay(interval, took=took, failures=failures, retry_after=retry_after, chance=chance)

    assert interval / 10 <= seconds <= max(interval * 10.5, 3600) * 1.0001


@given(interval=intervals, took=st.floats(0, 100), failures=st.integers(0, 20), chance=chances)
def test_one_failure_more_never_shortens_the_pause(interval, took, failures, chance):
    pauses = [
        next_delay(interval, took=took, failures=n, retry_after=None, chance=chance) for n in (failures, failures + 1)
    ]

    assert pauses == sorted(pauses)


@pytest.mark.parametrize(
    ("position", "accounts", "interval", "seconds"),
    [(0, 1, 60, 0), (0, 4, 60, 0), (1, 4, 60, 0.5), (3, 4, 60, 1.5), (1, 2, 10, 0.5), (99, 100, 3600, 1.98)],
)
def test_first_refreshes_are_staggered_within_two_seconds(position, accounts, interval, seconds):
    assert first_delay(position, accounts, interval) == pytest.approx(seconds)


@pytest.mark.parametrize(("seconds", "alive"), [(0, True), (300, True), (300.5, False)])
def test_without_a_first_sign_of_life_it_is_dead_after_five_minutes(seconds, alive):
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    world.pass_by(seconds)

    assert heartbeat.is_alive is alive


@pytest.mark.parametrize(("seconds", "alive"), [(899, True), (900, True), (901, False)])
def test_a_promise_holds_for_its_time_and_a_grace(seconds, alive):
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    heartbeat.promise(600)
    world.pass_by(seconds)

    assert heartbeat.is_alive is alive


def test_a_new_promise_replaces_the_last_even_when_it_is_shorter():
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    heartbeat.promise(6_000)
    heartbeat.promise(0)
    world.pass_by(301)

    assert not heartbeat.is_alive


def test_a_late_sign_of_life_revives_it():
    world = FakeWorld()
    heartbeat = Heartbeat(world.monotonic)

    world.pass_by(1_000)
    heartbeat.promise(0)

    assert heartbeat.is_alive
