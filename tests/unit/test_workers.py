"""What may hang holds up nobody else, and clients come first."""

import asyncio
import threading

import pytest

from exporter import workers
from exporter.workers import NoThread, ResolverExecutor, SingleFlight, Threads


def test_a_single_flight_hands_over_results_and_errors():
    async def play():
        calls = SingleFlight("test")
        with pytest.raises(ZeroDivisionError):
            await calls.run(lambda: 1 // 0)
        return await calls.run(lambda: 7)

    assert asyncio.run(play()) == 7


def test_a_call_that_hangs_times_out_and_the_next_one_fails_at_once_until_it_ends():
    async def play():
        calls, end = SingleFlight("test"), threading.Event()
        for seconds in (0.01, 60):
            with pytest.raises(TimeoutError):
                await calls.run(end.wait, seconds=seconds)
        end.set()
        calls._last.result(10)
        return await calls.run(lambda: "again")

    assert asyncio.run(play()) == "again"


def test_calls_behind_one_that_hangs_start_no_further_thread():
    """A mount that hangs for a day must not cost a thread a minute."""
    started = []
    end = threading.Event()

    def hang():
        started.append(threading.current_thread())
        end.wait(10)

    async def play():
        calls = SingleFlight("test")
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await calls.run(hang, seconds=0.01)
        end.set()

    asyncio.run(play())
    assert len(started) == 1


def test_a_call_that_hangs_holds_up_no_other_owner():
    async def play():
        end = threading.Event()
        hanging = asyncio.create_task(SingleFlight("a").run(end.wait, seconds=60))
        result = await SingleFlight("b").run(lambda: 7)
        end.set()
        await hanging
        return result

    assert asyncio.run(play()) == 7


@pytest.mark.parametrize(("seconds", "gives_way"), [(60, True), (0.01, False)])
def test_a_rendering_gives_way_to_what_a_client_waits_for_but_not_for_long(
    monkeypatch, seconds, gives_way
):
    monkeypatch.setattr("exporter.workers.GIVE_WAY_SECONDS", seconds)

    async def play():
        end = threading.Event()
        serving = asyncio.create_task(workers.serve(lambda: end.wait(10)))
        await asyncio.sleep(0)
        rendering = asyncio.create_task(workers.render(end.is_set))
        await asyncio.wait([rendering], timeout=0.05 if gives_way else 10)
        end.set()
        return await rendering, await serving

    assert asyncio.run(play()) == (gives_way, True)


def look_up(names, asked, end):
    """Resolve *names* in a loop whose look-ups of "silent" hang until *end*."""

    def resolve(name):
        asked.append(name)
        if name == "silent":
            end.wait(10)
        return name.upper()

    async def play():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ResolverExecutor())
        hanging = [loop.run_in_executor(None, resolve, "silent") for _ in range(50)]
        found = [await loop.run_in_executor(None, resolve, name) for name in names]
        end.set()
        return found, set(await asyncio.gather(*hanging))

    return asyncio.run(play())


def test_fifty_look_ups_that_hang_keep_no_other_waiting_and_take_one_thread():
    asked = []

    assert look_up(["a", "b"], asked, threading.Event()) == (["A", "B"], {"SILENT"})
    assert sorted(asked) == ["a", "b", "silent"]


def test_a_look_up_that_fails_is_an_error_and_the_next_one_asks_again():
    def fail():
        raise OSError("no such name")

    async def play():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ResolverExecutor())
        for _ in range(2):
            with pytest.raises(OSError, match="no such name"):
                await loop.run_in_executor(None, fail)

    asyncio.run(play())


def test_a_single_flight_keeps_its_thread():
    async def play():
        calls = SingleFlight("test")
        return {await calls.run(threading.get_ident) for _ in range(5)}

    assert len(asyncio.run(play())) == 1


class Silent:
    """A resolver that does not respond until *end*; it remembers which names wait for it."""

    def __init__(self):
        self.end = threading.Event()
        self.waiting = []

    def look_up(self, name):
        self.waiting.append(name)
        self.end.wait(10)
        return name


def test_names_beyond_the_bound_wait_for_a_thread_and_their_callers_give_up_in_time():
    async def play():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ResolverExecutor(most=2))
        resolver = Silent()
        first = [loop.run_in_executor(None, resolver.look_up, name) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await loop.run_in_executor(None, resolver.look_up, "c")
        looked_up = sorted(resolver.waiting)
        resolver.end.set()
        await asyncio.gather(*first)
        return looked_up, await loop.run_in_executor(None, resolver.look_up, "c")

    assert asyncio.run(play()) == (["a", "b"], "c")


def test_a_caller_that_gives_up_cancels_no_look_up_of_another():
    async def play():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ResolverExecutor(most=1))
        resolver = Silent()
        busy = loop.run_in_executor(None, resolver.look_up, "a")
        impatient, patient = (loop.run_in_executor(None, resolver.look_up, "b") for _ in range(2))
        impatient.cancel()
        resolver.end.set()
        return await busy, await patient

    assert asyncio.run(play()) == ("a", "b")


def test_work_that_nobody_waits_for_any_more_never_starts():
    end = threading.Event()
    started = []
    threads = Threads(1, "test")
    busy = threads.submit(lambda: end.wait(10))
    abandoned = threads.submit(lambda: started.append("abandoned"))
    last = threads.submit(lambda: started.append("last"))
    abandoned.cancel()
    end.set()
    busy.result(10)
    last.result(10)

    assert started == ["last"]


@pytest.fixture
def no_threads(monkeypatch):
    """Let the machine start no further thread."""

    def start(_):
        raise RuntimeError("can't start new thread")

    def forbid():
        monkeypatch.setattr("threading.Thread.start", start)

    return forbid


def test_without_a_thread_a_call_fails(no_threads):
    no_threads()

    async def play():
        with pytest.raises(NoThread, match="cannot start a thread"):
            await SingleFlight("test").run(lambda: 1)

    asyncio.run(play())


def test_where_no_further_thread_starts_work_waits_for_the_one_there_is(no_threads):
    end = threading.Event()
    threads = Threads(2, "test")
    busy = threads.submit(lambda: end.wait(10))
    no_threads()
    second = threads.submit(lambda: "second")
    end.set()

    assert (busy.result(10), second.result(10)) == (True, "second")


def test_an_event_loop_ends_where_no_further_thread_starts(no_threads):
    async def play():
        asyncio.get_running_loop().set_default_executor(ResolverExecutor())
        no_threads()
        return 7

    assert workers.run(play()) == 7


@pytest.mark.parametrize("run", ["serve", "scrape"])
def test_a_client_gets_its_response_where_no_thread_starts(monkeypatch, no_threads, run):
    for threads in ("_SERVING", "_SCRAPING"):
        monkeypatch.setattr(f"exporter.workers.{threads}", Threads(2, "test"))
    no_threads()

    assert asyncio.run(getattr(workers, run)(lambda: 7)) == 7
