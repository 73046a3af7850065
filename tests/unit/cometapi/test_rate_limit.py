"""How turns at one host are given. Time is made up: no test waits."""

import asyncio

import pytest

from exporter.cometapi.rate_limit import RateLimit
from exporter.errors import RateLimited


class FakeTime:
    """A clock that moves when something sleeps, and remembers for how long each slept."""

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


def turns(rate_limit: RateLimit, time: FakeTime, count: int) -> list[float]:
    """Take *count* turns one after the other; return when each was given."""

    async def take():
        given = []
        for _ in range(count):
            await rate_limit.acquire()
            given.append(time.now)
        return given

    return asyncio.run(take())


def left_of_the_pause(rate_limit: RateLimit) -> float | None:
    """Be refused a turn; return how long the pause still is."""
    with pytest.raises(RateLimited) as caught:
        asyncio.run(rate_limit.acquire())
    return caught.value.retry_after


def test_a_minute_s_worth_of_requests_goes_at_once_and_one_more_waits_until_the_first_is_a_minute_old():
    rate_limit, time = a_rate_limit(3)

    assert turns(rate_limit, time, 7) == [1_000.0] * 3 + [1_060.0] * 3 + [1_120.0]


def test_a_request_waits_only_for_what_is_left_of_the_minute():
    rate_limit, time = a_rate_limit(1)
    turns(rate_limit, time, 1)
    time.now += 45.5
    turns(rate_limit, time, 1)

    assert time.slept == [14.5]


@pytest.mark.parametrize("per_minute", [1, 2, 7])
def test_no_window_of_a_minute_holds_more_than_allowed(per_minute):
    rate_limit, time = a_rate_limit(per_minute)
    given = []
    for step in range(50):
        time.now += (step * 7919) % 23 / 1.7
        given += turns(rate_limit, time, 1)

    later = zip(given, given[per_minute:], strict=False)
    assert all(after - before >= 60.0 for before, after in later)


def test_a_newcomer_does_not_overtake_one_who_waits():
    """The minute is over, the one who waits for that has not woken yet, and another asks."""
    time, order = FakeTime(), []
    wake = asyncio.Event()

    async def sleep_until_woken(_seconds):
        await wake.wait()

    rate_limit = RateLimit(1, clock=time.clock, sleep=sleep_until_woken)

    async def account(name):
        await rate_limit.acquire()
        order.append(name)
        time.now += 60

    async def scenario():
        await rate_limit.acquire()
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
        await rate_limit.acquire()
        leaver = asyncio.create_task(rate_limit.acquire())
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        assert leaver.cancelled()
        await rate_limit.acquire()

    asyncio.run(scenario())

    assert time.now == 1_060.0


# Pauses that a host asks for


@pytest.mark.parametrize(
    ("pause", "passed", "slept"),
    [(0.5, 0, [0.5]), (5.0, 0, [5.0]), (30, 26, [4.0]), (30, 30, [])],
    ids=["short", "just short", "short by now", "over"],
)
def test_what_is_left_of_a_pause_is_waited_for_where_it_is_short(pause, passed, slept):
    rate_limit, time = a_rate_limit(60)
    rate_limit.pause(pause)
    time.now += passed
    turns(rate_limit, time, 2)

    assert time.slept == slept


def test_a_long_pause_is_an_error_that_says_what_is_left_and_counts_as_no_request():
    rate_limit, time = a_rate_limit(1)
    rate_limit.pause(30)
    time.now += 10

    assert left_of_the_pause(rate_limit) == 20.0
    time.now += 20
    assert turns(rate_limit, time, 1) == [1_030.0]
    assert time.slept == []


@pytest.mark.parametrize(
    ("pauses", "left"),
    [((3_601.0,), 3_600.0), ((float("inf"),), 3_600.0), ((100, 1), 100.0), ((1, 100), 100.0)],
)
def test_of_several_pauses_the_longest_counts_and_an_absurd_one_is_cut_to_an_hour(pauses, left):
    rate_limit, _ = a_rate_limit(60)
    for pause in pauses:
        rate_limit.pause(pause)

    assert left_of_the_pause(rate_limit) == left


def test_a_pause_asked_for_while_a_request_waits_for_its_turn_holds_it_too():
    rate_limit, time = a_rate_limit(1)
    time.on_sleep = lambda: rate_limit.pause(64) if len(time.slept) == 1 else None

    assert turns(rate_limit, time, 2) == [1_000.0, 1_064.0]
    assert time.slept == [60.0, 4.0]


def test_a_long_pause_asked_for_while_a_request_waits_ends_the_wait_with_an_error():
    rate_limit, time = a_rate_limit(1)
    time.on_sleep = lambda: rate_limit.pause(300)
    turns(rate_limit, time, 1)

    assert left_of_the_pause(rate_limit) == 240.0


# What may change, and what can be seen


@pytest.mark.parametrize(
    ("allowed", "given"), [(4, [1_000.0, 1_000.0, 1_060.0]), (1, [1_060.0, 1_120.0, 1_180.0])]
)
def test_a_changed_limit_holds_from_the_next_request_and_counts_the_last_minute(allowed, given):
    rate_limit, time = a_rate_limit(2)
    turns(rate_limit, time, 2)
    rate_limit.allow(allowed)

    assert turns(rate_limit, time, 3) == given


@pytest.mark.parametrize(("seconds", "serving"), [(120, True), (121, False)])
def test_a_queue_is_served_while_a_turn_was_given_within_two_minutes(seconds, serving):
    rate_limit, time = a_rate_limit(1)
    turns(rate_limit, time, 1)
    assert not rate_limit.is_serving_a_queue

    async def look_while_waiting():
        waiting = asyncio.create_task(rate_limit.acquire())
        await asyncio.sleep(0)
        time.now += seconds
        seen = rate_limit.is_serving_a_queue
        await waiting
        return seen

    assert asyncio.run(look_while_waiting()) is serving
