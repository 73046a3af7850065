"""Expensive work takes turns, in a queue with an end."""

import asyncio
import gc

import pytest

from exporter.site.concurrency import Busy, ConcurrencyLimiter


class Work:
    """Work that ends when it is let go; *begun* counts how often it began."""

    def __init__(self, outcome=None):
        self.begun = 0
        self.outcome = outcome
        self.let_go = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        await self.let_go.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def started(*works):
    tasks = [asyncio.ensure_future(work) for work in works]
    await settle()
    return tasks


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_work_beyond_the_bound_waits_and_beyond_the_queue_is_refused():
    async def scenario():
        limiter, work = ConcurrencyLimiter(at_once=2, queue=3), Work("done")
        tasks = await started(*(limiter.run(work) for _ in range(9)))
        refused = [task.done() and isinstance(task.exception(), Busy) for task in tasks]
        begun = work.begun
        work.let_go.set()
        return begun, refused, await asyncio.gather(*tasks[:5])

    assert asyncio.run(scenario()) == (2, [False] * 5 + [True] * 4, ["done"] * 5)


def test_patient_work_waits_whatever_the_queue():
    async def scenario():
        limiter, work = ConcurrencyLimiter(at_once=1, queue=0), Work("done")
        tasks = await started(*(limiter.run(work, patient=True) for _ in range(9)))
        work.let_go.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(scenario()) == ["done"] * 9


def test_what_was_cancelled_while_it_waits_leaves_its_place_and_never_begins():
    async def scenario():
        limiter, work = ConcurrencyLimiter(at_once=1, queue=1), Work("done")
        running, waiting = await started(limiter.run(work), limiter.run(work))
        waiting.cancel()
        await settle()
        (other,) = await started(limiter.run(work))
        work.let_go.set()
        return await asyncio.gather(running, other), work.begun

    assert asyncio.run(scenario()) == (["done", "done"], 2)


def test_work_that_is_cancelled_once_begun_keeps_its_place_until_it_has_ended():
    async def scenario():
        limiter, first, second = ConcurrencyLimiter(at_once=1), Work(), Work("done")
        second.let_go.set()
        running, waiting = await started(limiter.run(first), limiter.run(second))
        running.cancel()
        await settle()
        begun_beside = second.begun
        first.let_go.set()
        return begun_beside, await waiting

    assert asyncio.run(scenario()) == (0, "done")


def test_work_that_fails_says_so_and_makes_room():
    async def scenario():
        limiter, failing, next_one = (
            ConcurrencyLimiter(at_once=1),
            Work(ValueError("no")),
            Work("done"),
        )
        failing.let_go.set()
        next_one.let_go.set()
        with pytest.raises(ValueError, match="no"):
            await limiter.run(failing)
        return await limiter.run(next_one)

    assert asyncio.run(scenario()) == "done"


def test_work_that_fails_after_its_client_has_left_is_not_reported_as_forgotten():
    async def scenario():
        reported = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["message"])
        )
        limiter, failing, ended = ConcurrencyLimiter(), Work(ValueError("no")), Work()
        for work in (failing, ended):
            (task,) = await started(limiter.run(work))
            task.cancel()
            await settle()
            work.let_go.set()
            await settle()
            del task
        gc.collect()
        return reported

    assert asyncio.run(scenario()) == []
