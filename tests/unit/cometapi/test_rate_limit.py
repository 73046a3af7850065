"""How turns at one host are given. Time is made up: no test waits."""

import asyncio

import pytest

from exporter.cometapi.rate_limit import RateLimit
from exporter.errors import RateLimited


class FakeTime:
    """A clock that moves when somebody sleeps, and remembers for how long each slept."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self.on_sleep = lambda: None

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < 10_000, "the rate limit sleeps for ever"
        await asyncio.sleep(0)
        self.on_sleep()
        self.now += seconds


def a_rate_limit(per_minute: int) -> tuple[RateLimit, FakeTime]:
    time = FakeTime()
    return RateLimit(per_minute, clock=time.clock, sleep=time.sleep), time


async def turns(rate_limit: RateLimit, time: FakeTime, count: int) -> list[float]:
    """Take *count* turns one after the other; return when each was given."""
    given = []
    for _ in range(count):
        await rate_limit.turn()
        given.append(time.now)
    return given


def test_a_minute_s_worth_of_requests_goes_at_once():
    rate_limit, time = a_rate_limit(60)

    assert asyncio.run(turns(rate_limit, time, 60)) == [1_000.0] * 60
    assert time.slept == []


def test_one_more_waits_until_the_first_is_a_minute_old():
    rate_limit, time = a_rate_limit(3)

    assert asyncio.run(turns(rate_limit, time, 7)) == [1_000.0] * 3 + [1_060.0] * 3 + [1_120.0]


def test_a_request_waits_only_for_what_is_left_of_the_minute():
    rate_limit, time = a_rate_limit(1)

    async def scenario():
        await rate_limit.turn()
        time.now += 45.5
        await rate_limit.turn()

    asyncio.run(scenario())

    assert time.slept == [14.5]


@pytest.mark.parametrize("per_minute", [1, 2, 7])
def test_no_window_of_a_minute_holds_more_than_allowed(per_minute):
    rate_limit, time = a_rate_limit(per_minute)
    given = []

    async def scenario():
        for step in range(50):
            time.now += (step * 7919) % 23 / 1.7
            await rate_limit.turn()
            given.append(time.now)

    asyncio.run(scenario())

    later = zip(given, given[per_minute:], strict=False)
    assert all(after - before >= 60.0 for before, after in later)


def test_turns_are_given_in_the_order_of_asking():
    rate_limit, _ = a_rate_limit(2)
    order = []

    async def account(name):
        await rate_limit.turn()
        order.append(name)

    async def scenario():
        await asyncio.gather(*(account(name) for name in "abcdefg"))

    asyncio.run(scenario())

    assert order == list("abcdefg")


def test_a_newcomer_does_not_overtake_one_who_waits():
    """The minute is over, the one who waits for that has not woken yet, and another asks."""
    time, order = FakeTime(), []
    wake = asyncio.Event()

    async def sleep_until_woken(_seconds):
        await wake.wait()

    rate_limit = RateLimit(1, clock=time.clock, sleep=sleep_until_woken)

    async def account(name):
        await rate_limit.turn()
        order.append(name)
        time.now += 60

    async def scenario():
        await rate_limit.turn()
        first = asyncio.create_task(account("first"))
        await asyncio.sleep(0)
        time.now += 60
        second = asyncio.create_task(account("second"))
        await asyncio.sleep(0)
        wake.set()
        await asyncio.gather(first, second)

    asyncio.run(scenario())

    assert order == ["first", "second"]


def test_an_impatient_asker_that_leaves_takes_no_turn():
    rate_limit, time = a_rate_limit(1)

    async def scenario():
        await rate_limit.turn()
        leaver = asyncio.create_task(rate_limit.turn())
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        assert leaver.cancelled()
        await rate_limit.turn()

    asyncio.run(scenario())

    assert time.now == 1_060.0


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_a_short_pause_is_sat_out(seconds):
    rate_limit, time = a_rate_limit(60)
    rate_limit.pause(seconds)

    assert asyncio.run(turns(rate_limit, time, 2)) == [1_000.0 + seconds] * 2
    assert time.slept == [seconds]


def test_a_pause_that_is_over_costs_nothing():
    rate_limit, time = a_rate_limit(60)
    rate_limit.pause(30)
    time.now += 30

    assert asyncio.run(turns(rate_limit, time, 1)) == [1_030.0]
    assert time.slept == []


def test_a_long_pause_is_an_error_that_says_what_is_left():
    rate_limit, time = a_rate_limit(60)
    rate_limit.pause(30)
    time.now += 10

    with pytest.raises(RateLimited) as caught:
        asyncio.run(rate_limit.turn())

    assert caught.value.retry_after == 20.0
    assert time.slept == []


def test_what_is_left_of_a_long_pause_is_sat_out_once_it_is_short():
    rate_limit, time = a_rate_limit(60)
    rate_limit.pause(30)
    time.now += 26

    assert asyncio.run(turns(rate_limit, time, 1)) == [1_030.0]


@pytest.mark.parametrize("wish", [3_600.0, 3_601.0, 9_999_999_999.0, float("inf")])
def test_an_absurd_pause_is_cut_to_an_hour(wish):
    rate_limit, _ = a_rate_limit(60)
    rate_limit.pause(wish)

    with pytest.raises(RateLimited) as caught:
        asyncio.run(rate_limit.turn())

    assert caught.value.retry_after == 3_600.0


def test_a_shorter_pause_does_not_end_a_longer_one():
    rate_limit, _ = a_rate_limit(60)
    rate_limit.pause(100)
    rate_limit.pause(1)

    with pytest.raises(RateLimited) as caught:
        asyncio.run(rate_limit.turn())

    assert caught.value.retry_after == 100.0


def test_a_pause_asked_for_while_a_request_waits_for_its_turn_holds_it_too():
    rate_limit, time = a_rate_limit(1)
    time.on_sleep = lambda: rate_limit.pause(64) if len(time.slept) == 1 else None

    assert asyncio.run(turns(rate_limit, time, 2)) == [1_000.0, 1_064.0]
    assert time.slept == [60.0, 4.0]


def test_a_long_pause_asked_for_while_a_request_waits_ends_the_wait_with_an_error():
    rate_limit, time = a_rate_limit(1)
    time.on_sleep = lambda: rate_limit.pause(300)

    with pytest.raises(RateLimited) as caught:
        asyncio.run(turns(rate_limit, time, 2))

    assert caught.value.retry_after == 240.0


def test_a_refused_turn_counts_as_no_request():
    rate_limit, time = a_rate_limit(1)
    rate_limit.pause(6)

    with pytest.raises(RateLimited):
        asyncio.run(rate_limit.turn())
    time.now += 6

    assert asyncio.run(turns(rate_limit, time, 1)) == [1_006.0]


@pytest.mark.parametrize(("allowed", "given"), [(4, [1_000.0, 1_000.0, 1_060.0]), (1, [1_060.0, 1_120.0, 1_180.0])])
def test_a_changed_limit_holds_from_the_next_request_and_counts_the_last_minute(allowed, given):
    rate_limit, time = a_rate_limit(2)

    async def play():
        await turns(rate_limit, time, 2)
        rate_limit.allow(allowed)
        return await turns(rate_limit, time, 3)

    assert asyncio.run(play()) == given


def test_while_requests_wait_and_turns_are_given_the_rate_limit_serves_a_queue():
    rate_limit, time = a_rate_limit(1)
    seen = []
    time.on_sleep = lambda: seen.append(rate_limit.is_serving_a_queue)

    asyncio.run(turns(rate_limit, time, 2))

    assert (seen, rate_limit.is_serving_a_queue) == ([True], False)


def test_a_queue_in_which_no_turn_was_given_for_two_minutes_is_a_standstill():
    rate_limit, time = a_rate_limit(1)
    seen = []

    async def play():
        await rate_limit.turn()
        time.on_sleep = lambda: (setattr(time, "now", time.now + 121), seen.append(rate_limit.is_serving_a_queue))
        await rate_limit.turn()

    asyncio.run(play())

    assert seen == [False]
