"""Run what may block in threads, apart by who waits for it.

Talks to: threads. Knows nothing of what it runs. Scrapes, other responses, renderings and decoding
have a small pool each, so that none waits for another. What may hang for good (a file on a dead
mount, a resolver) runs in a `SingleFlight`: one call at a time in a daemon thread that the end of
the process does not wait for, so it can hold up only its owner.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

CALL_SECONDS = 5.0
GIVE_WAY_SECONDS = 0.1

Result = TypeVar("Result")

_SERVING = ThreadPoolExecutor(2, "serving")
_SCRAPING = ThreadPoolExecutor(2, "scraping")
_RENDERING = ThreadPoolExecutor(1, "rendering")
_DECODING = ThreadPoolExecutor(1, "decoding")
_served: set[asyncio.Future[Any]] = set()


async def serve(function: Callable[[], Result]) -> Result:
    """Run *function*, which a client waits for."""
    return await _run_for_client(_SERVING, function)


async def scrape(function: Callable[[], Result]) -> Result:
    """Run *function*, which a gzip scrape waits for; apart from *serve*, so that no page delays it."""
    return await _run_for_client(_SCRAPING, function)


async def _run_for_client(pool: ThreadPoolExecutor, function: Callable[[], Result]) -> Result:
    future = asyncio.get_running_loop().run_in_executor(pool, function)
    _served.add(future)
    future.add_done_callback(_served.discard)
    return await future


async def render(function: Callable[[], Result]) -> Result:
    """Run *function*, which prepares what will be served; what clients wait for goes first, for a tenth of a second."""
    if _served:
        await asyncio.wait(_served, timeout=GIVE_WAY_SECONDS)
    return await asyncio.get_running_loop().run_in_executor(_RENDERING, function)


async def decode(function: Callable[[], Result]) -> Result:
    """Run *function*, which makes sense of what a gateway sent."""
    return await asyncio.get_running_loop().run_in_executor(_DECODING, function)


class SingleFlight:
    """A thread for calls that may hang, one at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None

    async def run(self, function: Callable[[], Result], *, seconds: float = CALL_SECONDS) -> Result:
        """Run *function*; raises TimeoutError after *seconds*, and at once while an earlier call still hangs."""
        async with asyncio.timeout(seconds), self._turn:
            if self._last is not None and not self._last.done():
                raise TimeoutError
            self._last = future = start(function, self._name)
            return await asyncio.wrap_future(future)


def start(function: Callable[[], Result], name: str) -> "Future[Result]":
    """Run *function* in a daemon thread called *name*."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
            future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


class ResolverExecutor(ThreadPoolExecutor):
    """The event loop's default executor, for name look-ups alone.

    asyncio resolves names in its default executor, where a few look-ups without an answer would
    keep all others waiting. Here each name has a daemon thread, shared by all that ask for it
    meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._running: dict[object, Future[Any]] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ANN401 - any call
        """Run the call in a thread of its own, or wait for the same one that is running already."""
        call = (function, args)
        future = self._running.get(call)
        if future is None:
            future = self._running[call] = start(partial(function, *args, **kwargs), "look-up")
            future.add_done_callback(lambda _: self._running.pop(call, None))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Wait for nothing: a look-up may hang for good."""
