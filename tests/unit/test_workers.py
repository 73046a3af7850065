"""What may hang holds up nobody else."""

import asyncio
import threading

import pytest

from exporter.workers import Lane


def test_a_lane_hands_over_results_and_errors():
    async def play():
        lane = Lane("test")
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        return await lane.run(lambda: 7)

    assert asyncio.run(play()) == 7


def test_a_call_that_hangs_times_out_and_the_next_one_fails_at_once_until_it_ends():
    async def play():
        lane, end = Lane("test"), threading.Event()
        for seconds in (0.01, 60):
            with pytest.raises(TimeoutError):
                await lane.run(end.wait, seconds=seconds)
        end.set()
        lane._hanging.join(10)
        return await lane.run(lambda: "again")

    assert asyncio.run(play()) == "again"


def test_a_call_that_hangs_in_one_lane_holds_up_no_other():
    async def play():
        end = threading.Event()
        hanging = asyncio.create_task(Lane("a").run(end.wait, seconds=60))
        result = await Lane("b").run(lambda: 7)
        end.set()
        await hanging
        return result

    assert asyncio.run(play()) == 7
